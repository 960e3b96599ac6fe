"""One supervised child process: started, watched, started again with growing pauses, stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import structlog

from scheduler.embedded import processes

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 20.0
"""A part that ran this long starts again after the shortest pause."""
_LOG_BYTES = 20 * 2**20
_LAST_BYTES = 4096
_SENTENCE = "marrowline: "
"""What our commands begin the line with that says why they cannot go on."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """How one part of the stack is run."""

    name: str
    command: tuple[str, ...]
    token: str  # see ProcessRecord
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: float = 15.0
    before: Callable[[], None] = lambda: None  # clears what a killed predecessor left
    answers: Callable[[], bool] = lambda: True


class Part:
    """One child process and its history."""

    def __init__(self, spec: PartSpec) -> None:
        self.spec = spec
        self.restarts = 0
        self.last_end = ""
        self.refusal = ""  # why it ended, where it said so in a sentence
        self._process: subprocess.Popen[bytes] | None = None
        self._record: processes.ProcessRecord | None = None
        self._started = 0.0  # monotonic
        self._log_from = 0  # bytes that the log held before
        self._pauses = 0
        self._again_at = 0.0  # monotonic

    @property
    def running(self) -> bool:
        """Whether the process was started and its end has not been seen."""
        return self._process is not None

    def start(self) -> None:
        """Start the process in a session of its own, so that no terminal's Ctrl-C reaches it."""
        self._started = time.monotonic()
        self._log_from = _size(self.spec.log)
        try:
            self.spec.before()
            with self.spec.log.open("ab") as log_file:
                self._process = _spawn(self.spec, log_file)
        except OSError as error:
            self._wait_after(f"not started: {error}")
            return
        self._record = processes.record(self._process.pid, self.spec.token)
        log.info("started", part=self.spec.name, pid=self._process.pid)

    def watch(self) -> bool:
        """Notice an end, start again when its pause is over; tell whether anything changed."""
        if self._process is None:
            if time.monotonic() < self._again_at:
                return False
            self.restarts += 1
            self.start()
            return True
        code = self._process.poll()
        if code is None:
            return False
        self._wait_after(self._ended(self._process.pid, code))
        return True

    def ask_to_stop(self) -> None:
        """Send the part its stop signal."""
        if self._process is not None:
            self._process.send_signal(self.spec.stop_signal)

    def stop(self) -> None:
        """Wait for a part that was asked to stop, and end it when its time is over."""
        if self._process is None:
            return
        try:
            code = self._process.wait(self.spec.stop_wait_s)
        except subprocess.TimeoutExpired:
            log.warning("killed", part=self.spec.name, after_s=self.spec.stop_wait_s)
            processes.kill([psutil.Process(self._process.pid)])
            code = self._process.wait()
        self._ended(self._process.pid, code)

    def as_json(self) -> dict[str, Any]:
        """Return what `status` shows."""
        return {
            "name": self.spec.name,
            "process": self._record.as_json() if self._record else None,
            "restarts": self.restarts,
            "last_end": self.last_end,
            "refusal": self.refusal,
            "log": str(self.spec.log),
        }

    def _ended(self, pid: int, code: int) -> str:
        processes.kill_group(pid)  # children of a killed main process would read on
        self._process = self._record = None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"

    def _wait_after(self, end: str) -> None:
        self.last_end, self.refusal = end, _refusal(self.spec.log, self._log_from)
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._pauses)
        self._pauses = 0 if time.monotonic() - self._started > STEADY_AFTER_S else self._pauses + 1
        self._again_at = time.monotonic() + pause
        log.warning("ended", part=self.spec.name, how=end, again_in_s=pause)


def _spawn(spec: PartSpec, log_file: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        spec.command,
        env=dict(spec.environment),
        stdin=subprocess.DEVNULL,
        stdout=log_file,
        stderr=subprocess.STDOUT,
        cwd="/",
        start_new_session=True,
        user=spec.user,
        group=spec.user,
        extra_groups=[] if spec.user else None,
    )


def last_lines(log: Path, *, since: int = 0) -> str:
    """Return the end of a log, of what was written after its first `since` bytes; empty where there is none."""
    size = _size(log)
    if size < since:  # it was trimmed, so that all of it came later
        since = 0
    try:
        with log.open("rb") as file:
            file.seek(max(since, size - _LAST_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _size(log: Path) -> int:
    return log.stat().st_size if log.is_file() else 0


def _refusal(log: Path, since: int) -> str:
    """Return the sentence that a part of ours ended with; a program that crashed leaves none."""
    last = (last_lines(log, since=since).splitlines() or [""])[-1]
    return last.removeprefix(_SENTENCE) if last.startswith(_SENTENCE) else ""


def trim_log(path: Path) -> None:
    """Keep the last part of a log that became long; its writer appends on at the file's new end."""
    if path.is_file() and path.stat().st_size > _LOG_BYTES:
        shutil.copyfile(path, path.with_suffix(".1.log"))
        with path.open("r+b") as file:
            file.truncate()
