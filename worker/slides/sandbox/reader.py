"""A slide read in a sandboxed process: `open_sandboxed`, a `SlideReader` like the one of this process.

A process that crashes or gives no answer in time is replaced once and asked again; the second time the slide is at
fault. What its process says is not believed: numbers are checked, texts are cut, pixels lie in memory of this side.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.errors import BadSlideError, SandboxError
from worker.geometry import Box
from worker.slides.overview import MAX_UNREADABLE, Overview
from worker.slides.reader import WAITING_TILES
from worker.slides.sandbox import documents
from worker.slides.sandbox.connection import FAULTS, Connection, ReplacedError
from worker.slides.sandbox.memory import Memory
from worker.slides.sandbox.messages import Fields, MisbehavedError
from worker.slides.sandbox.ring import as_numbers, ring_for
from worker.slides.sandbox.spawn import Wish
from worker.slides.sandbox.spec import SandboxSpec
from worker.slides.scale import WorkingPlane
from worker.slides.slide import MAX_SIDE_PX, Rgb, RgbImage

_SETS = frozenset({".mrxs", ".vms", ".vmu", ".dcm", ""})
"""Suffixes of slides whose pixels may lie in files beside them."""
_READ_AHEAD = WAITING_TILES + 2
"""Slots beside one per thread: one is being looked at, one was just let go of, the others are finished and wait."""
_MAX_OVERVIEW_BYTES = 2**32
_SLOWEST_PX_S = 2e6
"""What any decoder manages of a slide in a second, on the slowest machine thought of."""


def open_sandboxed(path: Path, *, threads: int = 1, spec: SandboxSpec | None = None) -> SandboxedReader:
    """Open a slide in a process of its own that can read that slide and nothing else.

    Args:
        path: the slide, or the index file of a set; of a set all files beside it are readable too.
        threads: how many tiles are decoded at once.

    Raises:
        BadSlideError: as `open_slide_file`; `reader_crashed` or `reader_stuck` when that happens twice.
        SandboxError: when this machine cannot give the sandbox that `spec` asks for.
        ServiceError: when the sandbox did not start.
        OSError: when the file is not there.
    """
    return SandboxedReader(Connection(wish_for(path, threads, spec or SandboxSpec())), threads)


def wish_for(path: Path, threads: int, spec: SandboxSpec) -> Wish:
    """Return what a slide's process is started with.

    Raises:
        SandboxError: on another system than Linux.
        OSError: when the file is not there.
    """
    if sys.platform != "linux":
        raise SandboxError("slides are read in a sandbox that only Linux has: run the worker in its container")
    real = path.resolve(strict=True)
    return Wish(
        folder=real.parent,
        name=real.name,
        whole_folder=real.suffix.lower() in _SETS,
        threads=threads,
        spec=spec,
    )


class SandboxedReader:
    """An open slide in a sandboxed process (a `SlideReader`); used by one thread.

    While `tiles` is under way, any other method may be called but `tiles` itself.
    """

    def __init__(self, connection: Connection, threads: int) -> None:
        self._connection = connection
        self._threads = threads
        self._spare: Memory | None = None
        self.info = connection.info
        self.level = connection.level

    def overview(self, factor: int) -> Overview:
        """As SlideReader.overview."""
        # The factor that comes out is more than half of the one asked for.
        sides = (self.info.height_l0, self.info.width_l0)
        height, width = (2 * side // factor + 2 for side in sides)
        return self._overview({"op": "overview", "limit": factor}, height, width)

    def overview_within(self, max_px: int) -> Overview:
        """As SlideReader.overview_within."""
        return self._overview({"op": "overview_within", "limit": max_px}, max_px, max_px)

    def region(self, level: int, box_lv: Box) -> RgbImage:
        """As SlideReader.region."""
        request = {"op": "region", "level": level, "box": documents.box_to_json(box_lv)}
        return self._picture(request, box_lv.height, box_lv.width)

    def tile(self, plane: WorkingPlane, box_work: Box, background: Rgb) -> RgbImage:
        """As SlideReader.tile."""
        request = {
            "op": "tile",
            "plane": documents.plane_to_json(plane),
            "box": documents.box_to_json(box_work),
            "background": list(background),
        }
        return self._picture(request, box_work.height, box_work.width)

    def tiles(
        self, plane: WorkingPlane, boxes_work: Sequence[Box], background: Rgb
    ) -> Generator[RgbImage | BadSlideError]:
        """As SlideReader.tiles; the process decodes as many at once as it has threads."""
        boxes, done = tuple(boxes_work), 0
        request = {"op": "tiles", "plane": documents.plane_to_json(plane), "background": list(background)}
        while done < len(boxes):
            with closing(self._stream(request, boxes[done:])) as stream:
                try:
                    for tile in stream:
                        done += 1
                        yield tile
                except ReplacedError:
                    continue
                except FAULTS as fault:
                    self._connection.bury(fault)

    def close(self) -> None:
        """End the slide's process; a second call does nothing."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        self._connection.close()

    def _picture(self, request: dict[str, Any], height: int, width: int) -> RgbImage:
        def check(fields: Fields) -> None:
            if (fields.message.get("height"), fields.message.get("width")) != (height, width):
                raise MisbehavedError("the picture has another size than the one asked for")

        with closing(Memory(height * width * 3)) as memory:
            self._connection.ask(request, memory, check)
            return memory.array(0, height, width)

    def _overview(self, request: dict[str, Any], height: int, width: int) -> Overview:
        size = height * width * 3
        if size > _MAX_OVERVIEW_BYTES:
            raise BadSlideError("too_large", f"its overview would take {size} bytes", "Export the scan in parts.")
        with closing(Memory(size)) as memory:

            def overview(fields: Fields) -> Overview:
                rgb = memory.array(0, fields.whole("height", 1, height), fields.whole("width", 1, width))
                size = {"height": rgb.shape[0], "width": rgb.shape[1]}
                torn = documents.boxes_from(fields, "unreadable", most=MAX_UNREADABLE, **size)
                return Overview(rgb=rgb, factor=fields.whole("factor", 1, MAX_SIDE_PX), unreadable=torn)

            # Without a pyramid an overview reads the whole slide, in one answer.
            more_s = self.info.width_l0 * self.info.height_l0 / _SLOWEST_PX_S
            return self._connection.ask(request, memory, overview, more_s=more_s)

    def _stream(self, request: dict[str, Any], boxes: tuple[Box, ...]) -> Generator[RgbImage | BadSlideError]:
        """Yield the tiles that one process reads; raises one of FAULTS when it dies, ReplacedError when it has."""
        ring = ring_for(boxes, self._threads + _READ_AHEAD)
        with ExitStack() as stack:
            memory = stack.enter_context(closing(self._taken(ring.size)))
            memory.write(as_numbers(boxes))
            stream = self._connection.start_stream({**request, "ring": asdict(ring)}, memory)
            try:
                for no, box in enumerate(boxes):
                    answer = self._connection.from_stream(stream)
                    answer.whole("no", no, no)
                    if "error" in answer.message:
                        yield documents.bad_slide_from(answer.inner("error"))
                    else:
                        yield memory.array(ring.offset(no), box.height, box.width)
                    self._connection.tell_stream(stream, "next")
            except GeneratorExit:
                with suppress(ReplacedError, *FAULTS):  # a process that has died is noticed by the next request
                    self._connection.tell_stream(stream, "stop")
                raise
            # Of a stream that ended early the process may still be writing tiles.
            stack.pop_all()
            self._spare = memory

    def _taken(self, size: int) -> Memory:
        """Return the memory of the last stream where it is large enough: new memory costs a tenth of a short one."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.size >= size:
            return spare
        if spare is not None:
            spare.close()
        return Memory(size)
