"""What a taken-over slide process would try, run in a real one: same host, same fork, same lock, other duties.

`PROBES` are attempts at things outside the slide; `serve_badly` reads slides and dies over them as the file's
name says (`kill-11-always.png`). Run as a module this is a host with such children.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.sandbox import child, documents, host
from worker.slides.sandbox.messages import receive, send
from worker.slides.slide import RgbImage

ROOT = Path(__file__).parents[2]


def command(duty: str) -> tuple[str, ...]:
    """Return the command line of a host whose children do a duty of this module."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.support import sandbox_probe as p; p.main({duty!r})"
    )
    return (sys.executable, "-I", "-X", "utf8", "-c", code)


def main(duty: str) -> None:
    """Be a host."""
    host.main({"probe": _serve_probes, "badly": _serve_badly}[duty])


def _serve_probes(control: socket.socket, name: str, threads: int) -> None:
    """Try one thing after another and say what came of it: a value, or the name of the errno."""
    while True:
        message, _ = receive(control)
        try:
            answer = {"value": PROBES[message["op"]](name)}
        except OSError as error:
            answer = {"errno": errno.errorcode[error.errno or 0]}
        send(control, {"re": "probe", "stream": 0, "threads": threads, **answer})


def _libc(function: str, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(getattr(libc, function)(*arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), function)
    return result


def _write(path: str, flags: int) -> str:
    os.close(os.open(path, flags, 0o600))
    return "written"


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 10).decode("latin-1")
    finally:
        os.close(fd)


def _run_code(_: str) -> str:
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        return "mapped"


def _make_executable(_: str) -> str:
    _libc(
        "mprotect",
        ctypes.c_void_p(ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, "Py_NoSiteFlag")) & ~4095),
        4096,
        5,
    )
    return "executable"


def _descriptors(_: str) -> dict[str, str]:
    found = {}
    for fd in range(256):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        found[str(fd)] = oct(mode >> 12)
    return found


def _raise_limit(kind: int) -> str:
    try:
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:  # Python's word for EPERM here
        return "EPERM"
    return "raised"


def _thread(_: str) -> str:
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.append("ran"))
    thread.start()
    thread.join()
    return done[0]


def _thread_writes(name: str) -> str:
    found: list[str] = []

    def attempt() -> None:
        try:
            found.append(_write(name, os.O_WRONLY))
        except OSError as error:
            found.append(errno.errorcode[error.errno or 0])

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return found[0]


def _fork(_: str) -> str:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


PROBES: dict[str, Callable[[str], Any]] = {
    # What a reader needs works, so that the refusals below mean something.
    "read the slide": _read,
    "start a thread": _thread,
    "send abort to itself": lambda _: os.abort(),
    # What it has.
    "environment": lambda _: dict(os.environ),
    "descriptors": _descriptors,
    "user": lambda _: os.getuid(),
    # Files.
    "read /etc/passwd": lambda _: _read("/etc/passwd"),
    "read /etc/shadow": lambda _: _read("/etc/shadow"),
    "read above the folder": lambda _: _read("../secret.txt"),
    "read a neighbour": lambda _: _read("neighbour.txt"),
    "read below the folder": lambda _: _read("below/data.txt"),
    "list the root": lambda _: os.listdir("/"),  # noqa: PTH208
    "read own environ": lambda _: _read("/proc/self/environ"),
    "read parent's environ": lambda _: _read(f"/proc/{os.getppid()}/environ"),
    "write the slide": lambda name: _write(name, os.O_WRONLY),
    "cut the slide": lambda name: _libc("truncate", name.encode(), 0),
    "append to the slide": lambda name: _write(name, os.O_RDWR | os.O_APPEND),
    "write the slide in a thread": _thread_writes,
    "make a file": lambda _: _write("new.txt", os.O_WRONLY | os.O_CREAT),
    "make a file in /tmp": lambda _: _write("/tmp/marrowline-probe", os.O_WRONLY | os.O_CREAT),  # noqa: S108
    "make a nameless file": lambda _: _write(".", os.O_WRONLY | getattr(os, "O_TMPFILE", 0)),
    "make a folder": lambda _: os.mkdir("new"),  # noqa: PTH102
    "remove the slide": os.unlink,
    "rename the slide": lambda name: os.rename(name, "moved"),  # noqa: PTH104
    "link the slide": lambda name: os.link(name, "linked"),
    "change its mode": lambda name: os.chmod(name, 0o777),  # noqa: PTH101, S103
    "make memory files": lambda _: os.memfd_create("m"),
    "leave the folder": lambda _: os.chdir(".."),
    # Code.
    "map memory to run": _run_code,
    "make memory executable": _make_executable,
    # Limits.
    "raise the file size": lambda _: _raise_limit(resource.RLIMIT_FSIZE),
    "raise the memory": lambda _: _raise_limit(resource.RLIMIT_AS),
    # Attack: whoever tries these is killed.
    "open a socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a local socket": lambda _: socket.socketpair(),
    "run a program": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606
    "fork": _fork,
    "spawn": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
    "kill the parent": lambda _: os.kill(os.getppid(), signal.SIGTERM),
    "signal a thread of the parent": lambda _: _libc("tgkill", os.getppid(), os.getppid(), 9),
    "trace the parent": lambda _: _libc("ptrace", 16, os.getppid(), 0, 0),
    "read the parent's memory": lambda _: _libc("process_vm_readv", os.getppid(), None, 0, None, 0, 0),
    "load a kernel program": lambda _: _libc(
        "syscall", {"x86_64": 321, "aarch64": 280}[os.uname().machine], 0, None, 0
    ),
    "become root": lambda _: os.setuid(0),
    "mount": lambda _: _libc("mount", b"none", b".", b"tmpfs", 0, None),
    "leave by chroot": lambda _: os.chroot("."),
    "new namespaces": lambda _: _libc("unshare", 0x10000000),
}


def _serve_badly(control: socket.socket, name: str, threads: int) -> None:
    receive(control)
    reader = _BadReader(name, threads)
    if "open" in name:
        reader.misbehave()
    send(control, {"re": "info", "stream": 0, **documents.info_to_json(reader.info)})
    child.serve_reader(control, reader)


class _BadReader(LocalReader):
    """Reads a slide, and misbehaves at every box that begins at x = 300."""

    def __init__(self, name: str, process_no: int) -> None:
        super().__init__(open_slide_file(Path(name)), threads=2)
        self._what, self._number, self._when = Path(name).stem.split("-")[:3]
        self._process_no = process_no

    def region(self, level: int, box_lv: Box) -> RgbImage:
        rgb = super().region(level, box_lv)
        if box_lv.x == 300:
            self.misbehave()
            return rgb[:-1] if self._what == "lie" else rgb
        return rgb

    def tile(self, plane: Any, box_work: Box, background: Any, *, out: RgbImage | None = None) -> RgbImage:
        if box_work.x == 300:
            self.misbehave()
        return super().tile(plane, box_work, background, out=out)

    def misbehave(self) -> None:
        """Do it, unless the name says once and another process has done it, or second and this is another one.

        The first process before a second that does it gives no answer.
        """
        if (self._when, self._process_no) == ("second", 1):
            time.sleep(5)
        if self._process_no > {"once": 1, "second": 2}.get(self._when, self._process_no):
            return
        match self._what:
            case "kill":
                _libc("tgkill", os.getpid(), threading.get_native_id(), int(self._number))
            case "leave":
                os._exit(int(self._number))
            case "sleep":
                time.sleep(int(self._number))
            case "raise":
                raise [KeyError, MemoryError, PermissionError][int(self._number)](errno.EACCES, "/a/path")
            case "chatter":
                for _ in range(10_000):
                    os.write(3, b"[1,2]")
            case "shout":
                os.write(3, b" " * 100_000)
