"""Processes named so that a number used again is never mistaken for ours, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

STACK_VARIABLE = "MARROWLINE_STACK"
"""Environment variable that every process of a stack carries: the home's stack id."""
_CLOCK_SLACK_S = 5.0
_KILL_WAIT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """A process as it was when it was started."""

    pid: int
    started_at: float  # Unix time
    token: str  # a text that its command line holds, also after the program has rewritten it

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"pid": self.pid, "started_at": self.started_at, "token": self.token}


def record(pid: int, token: str) -> ProcessRecord:
    """Return the record of a process that was just started."""
    return ProcessRecord(pid=pid, started_at=psutil.Process(pid).create_time(), token=token)


def from_json(stored: Mapping[str, Any]) -> ProcessRecord:
    """Return the record that `as_json` made."""
    return ProcessRecord(pid=stored["pid"], started_at=stored["started_at"], token=stored["token"])


def find(known: ProcessRecord) -> psutil.Process | None:
    """Return the recorded process, or None when it has ended, whoever has its number now."""
    try:
        process = psutil.Process(known.pid)
        same = abs(process.create_time() - known.started_at) < _CLOCK_SLACK_S
        if same and runs(process) and known.token in " ".join(process.cmdline()):
            return process
    except psutil.Error:
        return None
    return None


def runs(process: psutil.Process) -> bool:
    """Tell whether a process is alive; one that ended and was not waited for is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(stack_id: str) -> list[psutil.Process]:
    """Return the processes that carry the stack's id, whoever started them and whether or not that was recorded.

    The two servers are not among them: they overwrite their environment.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(STACK_VARIABLE) == stack_id and runs(process):
                found.append(process)
    return found


def serving(program: str, folder: Path) -> list[psutil.Process]:
    """Return the processes of a server by its name and its data folder, in which such servers work."""
    data = str(folder.resolve())
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith(program) and process.cwd() == data and runs(process):
                found.append(process)
    return found


def stop(processes: Iterable[psutil.Process], *, first: signal.Signals, wait_s: float) -> None:
    """Ask the processes to end, wait, then end those that have not.

    Only those are asked whose parent is not asked too: a parent tells its children itself.
    """
    asked = list(processes)
    pids = {process.pid for process in asked}
    for process in asked:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                process.send_signal(first)
    kill(_still_running(asked, wait_s=wait_s))


def kill(processes: Iterable[psutil.Process]) -> None:
    """End the processes at once and wait until they are gone."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _still_running(asked, wait_s=_KILL_WAIT_S)


def _still_running(processes: Iterable[psutil.Process], *, wait_s: float) -> list[psutil.Process]:
    """Wait until all have ended and return those that have not; a zombie has, whenever its parent may notice."""
    until = time.monotonic() + wait_s
    left = [process for process in processes if runs(process)]
    while left and time.monotonic() < until:
        time.sleep(_POLL_S)
        left = [process for process in left if runs(process)]
    return left


def kill_group(leader_pid: int) -> None:
    """End what is left of the process group that a part was started with."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)
