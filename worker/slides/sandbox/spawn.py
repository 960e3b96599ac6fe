"""The worker's hold on the sandbox: one host per worker process, and one process per slide.

The host is started when the first slide is opened, and ends when this process does: its socket then closes, however
the process ended. A death signal from the parent is not asked for: Linux ties it to the thread that started the host.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.errors import ServiceError
from worker.slides.sandbox import messages
from worker.slides.sandbox.messages import GoneError, MisbehavedError
from worker.slides.sandbox.spec import SandboxSpec

HOST_COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", "worker.slides.sandbox.host")
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # a process with threads cannot be forked soundly
    "OMP_NUM_THREADS": "1",
    # Tiles come and go: memory given back to the system each time would be cleared anew each time.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
}
_REPORT_S = 10.0
"""How long the host may take to say how a process ended, or that it began."""
_START_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which slide is to be read, and how."""

    folder: Path
    name: str
    whole_folder: bool
    threads: int
    spec: SandboxSpec

    def to_json(self) -> dict[str, Any]:
        """Return what the host needs besides the folder's descriptor."""
        return {
            "name": self.name,
            "whole_folder": self.whole_folder,
            "threads": self.threads,
            "spec": asdict(self.spec),
        }


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a slide's process ended: by a signal, with an exit status, or together with its host (neither)."""

    signal: int | None = None
    status: int | None = None


class SlideProcess:
    """A slide's process as its worker sees it."""

    def __init__(self, control: socket.socket, line: socket.socket, pidfd: int) -> None:
        self._control = control
        self._line = line
        self._pidfd = pidfd

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = (), *, within_s: float) -> None:
        """Send a request; raises GoneError or TimeoutError."""
        self._control.settimeout(within_s)
        messages.send(self._control, message, fds)

    def receive(self, *, within_s: float) -> dict[str, Any]:
        """Wait for one answer; raises GoneError, MisbehavedError or TimeoutError."""
        self._control.settimeout(max(0.001, within_s))
        return messages.receive_plain(self._control)

    def end(self) -> Ended:
        """End the process if it still runs, and return how it ended, waiting for that."""
        self.kill()
        self._line.settimeout(_REPORT_S)
        try:
            report = messages.receive_plain(self._line)
        except (GoneError, TimeoutError, MisbehavedError):
            return Ended()
        return Ended(signal=report.get("signal"), status=report.get("exit"))

    def kill(self) -> None:
        """Send SIGKILL; a process that has ended already keeps its own end."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Kill it and let go of it without waiting; the host takes it away."""
        if self._pidfd >= 0:
            self.kill()
            os.close(self._pidfd)
            self._pidfd = -1
        self._control.close()
        self._line.close()


class Host:
    """A running host."""

    def __init__(self, command: Sequence[str] = HOST_COMMAND) -> None:
        self._wishes, theirs = messages.pair()
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the worker's to handle
            )

    def start(self, wish: Wish) -> SlideProcess:
        """Start a slide's process.

        Raises:
            ServiceError: when the host does not answer.
        """
        control, their_control = messages.pair()
        line, their_line = messages.pair()
        try:
            with their_control, their_line:
                folder = os.open(wish.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    messages.send(self._wishes, wish.to_json(), [their_control.fileno(), their_line.fileno(), folder])
                finally:
                    os.close(folder)
            line.settimeout(_START_S)
            _, (pidfd,) = messages.receive(line)
        except (GoneError, MisbehavedError, TimeoutError, ValueError) as error:
            control.close()
            line.close()
            raise ServiceError("the sandbox that slides are read in did not start (docs/sandbox.md)") from error
        return SlideProcess(control, line, pidfd)

    def alive(self) -> bool:
        """Tell whether the host still runs."""
        return self._process.poll() is None

    def forget(self) -> None:
        """Close a forked copy's end, so that the host notices the end of its own worker."""
        self._wishes.close()
        self._process.returncode = 0  # not this process's child: nothing to wait for

    def close(self) -> None:
        """End the host and all slides' processes."""
        self._wishes.close()
        try:
            self._process.wait(_REPORT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Hosts:
    """The host of this process; a forked process gets its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: Host | None = None

    def host(self) -> Host:
        """Return the running host, started now if there is none."""
        with self._lock:
            if self._host is not None and not self._host.alive():
                self._host.close()
                self._host = None
            if self._host is None:
                self._host = Host()
            return self._host

    def forget(self) -> None:
        """Begin anew in a forked process."""
        self._lock = threading.Lock()
        if self._host is not None:
            self._host.forget()
            self._host = None

    def close(self) -> None:
        """End the host, if there is one."""
        with self._lock:
            if self._host is not None:
                self._host.close()
                self._host = None


_hosts = _Hosts()
os.register_at_fork(after_in_child=_hosts.forget)
atexit.register(_hosts.close)


def start(wish: Wish) -> SlideProcess:
    """Start a slide's process under this process's host.

    Raises:
        ServiceError: when the host does not answer.
    """
    return _hosts.host().start(wish)


def stop_host() -> None:
    """End this process's host now; the next slide starts another."""
    _hosts.close()
