"""The sandbox's host: a fresh interpreter that imports the readers once and forks a process per slide.

It holds nothing of the worker: no environment, no descriptors but its socket, no torch. It never opens a slide.
Messages come from the worker, which is trusted; for each slide a socket of its own (the line) tells the worker the
process's id and how it ended. It ends when the worker's end of the socket closes; every slide's process ends with it.
"""

from __future__ import annotations

import codecs
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import cv2
from PIL import Image

from worker.slides.sandbox import child
from worker.slides.sandbox.lock import Target, enter_namespaces
from worker.slides.sandbox.messages import GoneError, receive, send
from worker.slides.sandbox.spec import Level, SandboxSpec

_LOADED_LATE = ("numpy.random", "numpy.linalg", "numpy.fft", "PIL.ImageCms", "_strptime", "traceback")
"""Modules that others load when they are first used."""
_ENCODINGS = ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "unicode_escape")
_CONTROL, _LINE, _FOLDER = 3, 4, 5
"""Descriptors in a slide's process; the line is closed there."""


def main(serve: child.Serve = child.serve_slide) -> None:
    """Serve the worker at the other end of the socket whose number is the first argument."""
    wishes = socket.socket(fileno=int(sys.argv[1]))
    _prepare()
    _Host(wishes, serve, namespaces=enter_namespaces()).run()


def _prepare() -> None:
    """Load all that a slide's process cannot load any more, and leave one thread only, so that forks are sound."""
    cv2.setNumThreads(1)
    Image.init()
    for module in _LOADED_LATE:
        import_module(module)
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # the collector would otherwise write to, and so copy, every page after a fork


class _Host:
    """The processes of the slides, by the descriptors that tell of their ends."""

    def __init__(self, wishes: socket.socket, serve: child.Serve, *, namespaces: bool) -> None:
        self._wishes = wishes
        self._serve = serve
        self._namespaces = namespaces
        self._processes: dict[int, tuple[int, socket.socket]] = {}  # pidfd -> pid, line

    def run(self) -> None:
        """Fork and report until the worker hangs up."""
        with suppress(GoneError):
            while True:
                ready, _, _ = select.select([self._wishes.fileno(), *self._processes], [], [])
                for fd in ready:
                    if fd in self._processes:
                        self._report(fd)
                    else:
                        self._start()

    def _start(self) -> None:
        message, fds = receive(self._wishes)
        pid = os.fork()
        if pid == 0:
            _become_child(message, fds, self._serve, namespaces=self._namespaces)
        control, line_fd, folder = fds
        os.close(control)
        os.close(folder)
        line = socket.socket(fileno=line_fd)
        pidfd = os.pidfd_open(pid)
        self._processes[pidfd] = (pid, line)
        with suppress(GoneError):
            send(line, {"pid": pid}, [pidfd])

    def _report(self, pidfd: int) -> None:
        pid, line = self._processes.pop(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(GoneError), line:
            send(line, {"signal": -code} if code < 0 else {"exit": code})


def _become_child(message: Mapping[str, Any], fds: list[int], serve: child.Serve, *, namespaces: bool) -> None:
    """Serve one slide in a forked process and leave it; nothing of the host stays open in it."""
    host_pid = os.getppid()
    code = 1
    try:
        control = _keep_only(fds)
        document = message["spec"]
        start = child.Start(
            target=Target(folder_fd=_FOLDER, name=message["name"], whole_folder=message["whole_folder"]),
            threads=message["threads"],
            spec=SandboxSpec(**{**document, "least": Level(document["least"])}),
            namespaces=namespaces,
            host_pid=host_pid,
        )
        child.run(control, start, serve)
        code = 0
    finally:
        os._exit(code)


def _keep_only(fds: list[int]) -> socket.socket:
    """Close every descriptor but the standard ones, the control socket and the folder."""
    spare = [os.dup(fd) for fd in fds]  # above the places that they are to take
    while min(spare) <= _FOLDER:
        spare = [os.dup(fd) for fd in spare]
    for place, fd in zip((_CONTROL, _LINE, _FOLDER), spare, strict=True):
        os.dup2(fd, place, inheritable=False)
    os.close(_LINE)
    os.closerange(_FOLDER + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=_CONTROL)


if __name__ == "__main__":
    main()
