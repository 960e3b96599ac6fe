"""A slide's process: shuts itself in, opens its slide, and answers one worker until that hangs up.

Requests come from the worker and are trusted; answers go back as short messages, pixels in the shared memory that
a request brings. `reader.py` is the other side.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadSlideError
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.sandbox import documents, faults
from worker.slides.sandbox.lock import Target, lock
from worker.slides.sandbox.memory import LastMapping, mapped, pixels_in
from worker.slides.sandbox.messages import GoneError, receive, send
from worker.slides.sandbox.ring import Ring
from worker.slides.sandbox.spec import SandboxSpec

Serve = Callable[[socket.socket, str, int], None]
"""What a slide's process does when it is shut in, given the control socket, the file's name and a number of threads."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a slide's process begins."""

    target: Target
    threads: int
    spec: SandboxSpec
    namespaces: bool
    host_pid: int


def run(control: socket.socket, start: Start, serve: Serve) -> None:
    """Shut this process in, say how firmly, and serve."""
    os.environ.clear()
    with suppress(GoneError):
        try:
            reached = lock(start.target, start.spec, namespaces=start.namespaces, host_pid=start.host_pid)
        except OSError as error:
            send(control, faults.to_json(error))
            return
        send(control, {"re": "hello", "stream": 0, **reached.to_json()})
        serve(control, start.target.name, start.threads)


def serve_slide(control: socket.socket, name: str, threads: int) -> None:
    """Open the slide when asked to, and answer until the worker hangs up."""
    message, _ = receive(control)
    if message["op"] != "open":
        raise ValueError("the first request is to open the slide")
    try:
        reader = LocalReader(open_slide_file(Path(name)), threads=threads)
    except Exception as error:
        send(control, faults.to_json(error))
        return
    send(control, {"re": "info", "stream": 0, **documents.info_to_json(reader.info)})
    serve_reader(control, reader)


def serve_reader(control: socket.socket, reader: LocalReader) -> None:
    """Answer the requests for an open slide until the worker hangs up, which raises GoneError."""
    desk = _Desk(control, reader)
    while True:
        desk.answer_next()


class _Desk:
    """Answers the requests for one open slide."""

    def __init__(self, control: socket.socket, reader: LocalReader) -> None:
        self._control = control
        self._reader = reader
        self._memory = LastMapping()
        self._released = 0  # tiles of the stream that the worker is done with
        self._stopped = False

    def answer_next(self) -> None:
        """Wait for one request and answer it; raises GoneError when none will come."""
        message, fds = receive(self._control)
        try:
            self._answer(message, fds)
        except GoneError:
            raise
        except Exception as error:
            send(self._control, faults.to_json(error, stream=message.get("stream", 0)))
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, message: Mapping[str, Any], fds: list[int]) -> None:
        match message["op"]:
            case "next":
                self._released += 1
            case "stop":
                self._stopped = True
            case "tiles":
                self._tiles(message, fds[0])
            case _:
                send(self._control, {"re": "done", "stream": 0, **self._picture(message, fds[0])})

    def _picture(self, message: Mapping[str, Any], fd: int) -> dict[str, Any]:
        """Read one picture into the memory and return its size."""
        overview_only: dict[str, Any] = {}
        match message["op"]:
            case "overview" | "overview_within" as which:
                make = self._reader.overview if which == "overview" else self._reader.overview_within
                overview = make(message["limit"])
                rgb, torn = overview.rgb, [documents.box_to_json(box) for box in overview.unreadable]
                overview_only = {"factor": overview.factor, "unreadable": torn}
            case "region":
                rgb = self._reader.region(message["level"], documents.box_from(message["box"]))
            case "tile":
                plane, background = documents.plane_from(message["plane"]), message["background"]
                rgb = self._reader.tile(plane, documents.box_from(message["box"]), tuple(background))
            case unknown:
                raise ValueError(f"no request is called {unknown}")
        _put(mapped(fd, rgb.size), 0, rgb)
        return {"height": rgb.shape[0], "width": rgb.shape[1], **overview_only}

    def _tiles(self, message: Mapping[str, Any], fd: int) -> None:
        """Decode tile after tile into the ring, as far ahead as the worker has let go of others."""
        ring, stream = Ring(**message["ring"]), message["stream"]
        memory = self._memory.of(fd, ring.size)
        boxes = [documents.box_from(box) for box in ring.boxes_in(memory)]
        plane, background = documents.plane_from(message["plane"]), tuple(message["background"])
        self._released, self._stopped = 0, False

        def place(no: int) -> NDArray[np.uint8]:
            while no >= self._released + ring.slots and not self._stopped:
                self.answer_next()
            if self._stopped:
                raise _StoppedError
            return pixels_in(memory, ring.offset(no), boxes[no].height, boxes[no].width)

        tiles = self._reader.tiles_into(plane, boxes, background, place)
        with closing(tiles), suppress(_StoppedError):
            for no, tile in enumerate(tiles):
                answer = {"re": "tile", "stream": stream, "no": no}
                if isinstance(tile, BadSlideError):
                    answer["error"] = documents.bad_slide_to_json(tile)
                send(self._control, answer)


class _StoppedError(Exception):
    """The worker wants no more tiles."""


def _put(memory: NDArray[np.uint8], offset: int, rgb: NDArray[np.uint8]) -> None:
    np.copyto(pixels_in(memory, offset, rgb.shape[0], rgb.shape[1]), rgb)
