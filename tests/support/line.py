"""A whole line on one machine for a test: the embedded stack in a folder of its own, driven by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from db.session import make_engine, transaction

COMMAND = Path(sys.executable).with_name("marrowline")
FAST = {
    "MARROWLINE_LEASE_S": "3",
    "MARROWLINE_HEARTBEAT_S": "1",
    "MARROWLINE_SWEEP_S": "0.5",
    "MARROWLINE_LIST_S": "0.5",
}
"""Short times, so that a take-over is a matter of seconds."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A started stack."""

    home: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str | Path, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        """Run `marrowline` with the arguments; its exit code is for the caller to judge."""
        return subprocess.run(
            [str(COMMAND), *map(str, arguments)],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def json(self, *arguments: str | Path, exit_code: int = 0) -> Any:
        """Run `marrowline ... --json` and return its document."""
        done = self.run(*arguments, "--json")
        assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a read-only query."""
        rows: list[dict[str, Any]] = self.json("sql", query)
        return rows

    def watch(self, query: str) -> Any:
        """Return the first value that a query gives, without a process of its own, for a test that asks often."""
        engine = make_engine(self._database_url(), pool_size=1)
        try:
            with transaction(engine) as conn:
                return conn.execute(text(query)).scalar()
        finally:
            engine.dispose()

    def _database_url(self) -> str:
        for process in self.processes():
            with suppress(psutil.Error, ProcessLookupError):  # it may have ended since
                if url := process.environ().get("MARROWLINE_DATABASE_URL"):
                    return url
        raise AssertionError("no process of the stack runs")

    def processes(self) -> list[psutil.Process]:
        """Return the worker and scheduler processes of this stack with their children."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = (
                    process.environ().get("MARROWLINE_HOME") == str(self.home)
                    and "MARROWLINE_STACK" in process.environ()
                )
            except (psutil.Error, ProcessLookupError):
                continue
            if ours:
                found.append(process)
        return found


@contextmanager
def started(home: Path, **settings: str) -> Iterator[Line]:
    """Start a stack in `home`, with `MARROWLINE_<NAME>` set as given, and stop it at the end."""
    ours = {f"MARROWLINE_{name.upper()}": value for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARROWLINE_")}
    environment = {**kept, **FAST, **ours, "MARROWLINE_HOME": str(home)}
    line = Line(home=home, environment=environment)
    up = line.run("up")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield line
    finally:
        down = line.run("down")
        assert down.returncode == 0, down.stdout + down.stderr


def eventually(holds: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Wait until `holds` is true; AssertionError naming `what` when it stays false."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
