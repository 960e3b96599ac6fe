"""Named points at which a test may strike the running program; without MARROWLINE_FAULTS they do nothing.

The setting names a file that holds a JSON list of faults. It is read anew at every point, so that a test can change
it while the program runs. Each strike first makes an empty file `NAME.<number>` beside it: that bounds the strikes of
all processes together, and proves to the test that the fault has happened.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from db.config import FaultSettings

_POLL_S = 0.01


class Action(StrEnum):
    """What a fault does to the process that reaches its point."""

    EXIT = "exit"  # ends at once, as by kill -9
    RAISE = "raise"  # an error that no code expects
    SLEEP = "sleep"
    STOP = "stop"  # stands still, threads and all, until somebody continues or ends it
    MEET = "meet"  # waits until as many processes as the fault has times have come to the point


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of the file."""

    name: str  # its own, and that of its strikes' files
    point: str
    action: Action
    skip: int = 0  # so often each process passes the point unharmed first
    times: int = 1  # strikes in all processes together
    seconds: float = 0.0  # of a sleep, or how long a meeting may be waited for


class Striker:
    """Strikes this process at the points that the file names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._passed: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """Suffer what the file says of the point."""
        for fault in read(self._path):
            if fault.point != point:
                continue
            self._passed[fault.name] += 1
            if self._passed[fault.name] > fault.skip and self._take(fault):
                self._strike(fault)

    def _take(self, fault: Fault) -> bool:
        """Take one of the strikes that are left; False when there is none."""
        for number in range(fault.times):
            try:
                os.close(os.open(self._mark(fault, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                continue
            return True
        return False

    def _strike(self, fault: Fault) -> None:
        match fault.action:
            case Action.EXIT:
                os._exit(9)
            case Action.RAISE:
                raise RuntimeError(f"fault {fault.name} at {fault.point}")
            case Action.SLEEP:
                time.sleep(fault.seconds)
            case Action.STOP:
                os.kill(os.getpid(), signal.SIGSTOP)
            case Action.MEET:
                self._meet(fault)

    def _meet(self, fault: Fault) -> None:
        until = time.monotonic() + fault.seconds
        while not self._mark(fault, fault.times - 1).exists() and time.monotonic() < until:
            time.sleep(_POLL_S)

    def _mark(self, fault: Fault, number: int) -> Path:
        return self._path.with_name(f"{fault.name}.{number}")


def read(path: Path) -> list[Fault]:
    """Return the faults of a file; none while there is no file."""
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    return [Fault(**{**fault, "action": Action(fault["action"])}) for fault in stored]


def write(path: Path, faults: list[Fault]) -> None:
    """Replace a file of faults so that a reader sees the old ones or the new ones."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps([asdict(fault) for fault in faults]), encoding="utf-8")
    part.replace(path)


def strikes(path: Path, name: str) -> int:
    """Return how often the fault of that name has struck."""
    return len(list(path.parent.glob(f"{name}.[0-9]*")))


def reaching(path: Path | None) -> Callable[[str], None]:
    """Return what `faultpoint` is under the setting: without a file, a function that does nothing."""
    return _nothing if path is None else Striker(path).reach


def _nothing(_: str) -> None:
    """Go on."""


faultpoint = reaching(FaultSettings().faults)
"""Called as `faultpoint("name")` where a process may be struck; bound once, when the process starts."""
