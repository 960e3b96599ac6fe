"""`make recovery`: how long recovery takes with the leases of production, as measured into docs/reliability.md.

The matrix runs with leases of a twentieth, so that it ends within the hour; here they are those of a deployment.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from rich.console import Console

from db.faultpoints import Action, Fault
from scheduler.config import SchedulerSettings
from tests.faults.document import PAGE
from tests.faults.invariants import broken
from tests.faults.rig import Rig
from tests.faults.rows_broker import WAITING, messages
from tests.faults.stage import line_for, prepared
from worker.config import WorkerSettings

_OUT = Console(soft_wrap=True, markup=False, highlight=False)
_TWO = ("worker", "worker-2")
_SLOW_S = 600.0
"""A batch that takes so long is still being read when its worker dies; its lease is prolonged all the while."""
_PATIENCE_S = 300.0
_SWEEP_S: float = SchedulerSettings.model_fields["sweep_s"].default
_BEGIN, _END = "<!-- recovery: written by python -m tests.faults.recovery -->", "<!-- end of recovery -->"
_HEAD = "| fault | until | promised within | measured, seconds | last run |\n|---|---|---|---|---|\n"


def machines_killed(rig: Rig, times: int) -> Iterator[float]:
    """Kill a worker with all its processes while it reads; yield after how many seconds another has the slide."""
    for number in range(times):
        rig.cleared()
        worker = _reading(rig, f"killed-{number}", workers=_TWO)
        fence = rig.value("SELECT fence FROM run")
        started = time.monotonic()
        rig.kill(worker)
        rig.until(partial(_is_taken, rig, fence), "another takes over", within_s=_PATIENCE_S)
        yield time.monotonic() - started
        rig.line(*_TWO)
        _at_rest(rig)


def broker_emptied(rig: Rig, times: int) -> Iterator[float]:
    """Empty Redis while slides wait, at any moment; yield after how many seconds all of them are rung for again."""
    rig.cleared()
    worker = _reading(rig, "read", workers=_TWO[:1])
    for number, waiting in enumerate(WAITING):
        rig.upload(waiting, "abc"[number])
    rig.until(partial(_all_wait, rig), "three messages wait")
    moment = random.Random(times)
    for _ in range(times):
        time.sleep(moment.uniform(0, _SWEEP_S))
        started = time.monotonic()
        with rig.redis.client() as client:
            client.flushall()
        rig.until(partial(_all_wait, rig), "all are rung for again", within_s=_PATIENCE_S)
        yield time.monotonic() - started
    rig.kill(worker)  # else it would read its slow batch to the end
    rig.line(*_TWO)
    _at_rest(rig)


def _is_taken(rig: Rig, fence: int) -> bool:
    return bool(rig.value(f"SELECT count(*) FROM run WHERE fence > {fence}"))


def _all_wait(rig: Rig) -> bool:
    return len(messages(rig)) >= len(WAITING)


def _at_rest(rig: Rig) -> None:
    rig.settled()
    wrong = broken(rig)
    assert not wrong, "; ".join(wrong)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Something that is struck again and again, and what recovery from it is promised."""

    fault: str
    until: str
    promised: str
    latest_s: float
    strike: Callable[[Rig, int], Iterator[float]]


MEASURES = (
    Measure(
        fault="kill -9 of all processes of a worker that reads a slide",
        until="another worker has the slide",
        promised="2 minutes",
        latest_s=120.0,
        strike=machines_killed,
    ),
    Measure(
        fault="FLUSHALL with slides waiting",
        until="all of them are rung for again",
        promised="one sweep: 15 s and what it takes itself",
        latest_s=_SWEEP_S + 5.0,
        strike=broker_emptied,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each so often as the caller says; 0 when every one kept the promise and every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.recovery", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    chosen = parser.parse_args(arguments)
    with prepared() as made, line_for(made, "recovery") as line:
        line.settings.update(_timing())
        measured = {measure: _measured(line, measure, chosen.times) for measure in MEASURES}
    write(measured)
    late = [measure.fault for measure, seconds in measured.items() if max(seconds) > measure.latest_s]
    for fault in late:
        _OUT.print(f"LATE: {fault}")
    return 1 if late else 0


def write(measured: Mapping[Measure, Sequence[float]], *, page: Path = PAGE) -> None:
    """Put the figures into the page's table."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = "".join(_line(measure, seconds) for measure, seconds in measured.items())
    page.write_text(f"{before}{_BEGIN}\n{_HEAD}{lines}{_END}{after}", encoding="utf-8")


def _line(measure: Measure, seconds: Sequence[float]) -> str:
    figures = ", ".join(f"{one:.1f}" for one in sorted(seconds))
    return f"| {measure.fault} | {measure.until} | {measure.promised} | {figures} | {date.today():%Y-%m-%d} |\n"


def _timing() -> dict[str, str]:
    """Return the settings of production for what the matrix has scaled down."""
    defaults = WorkerSettings.model_fields
    return {name: str(defaults[name].default) for name in ("lease_s", "heartbeat_s")} | {"sweep_s": str(_SWEEP_S)}


def _measured(line: Rig, measure: Measure, times: int) -> list[float]:
    seconds = []
    for one in measure.strike(line, times):
        _OUT.print(f"{measure.fault}: {one:.1f} s")
        seconds.append(one)
    return seconds


def _reading(rig: Rig, name: str, *, workers: tuple[str, ...]) -> str:
    """Have a worker read a slide of which one batch takes very long; return its name."""
    rig.arm(Fault(name=f"slow-{name}", point="batch.read", action=Action.SLEEP, skip=2, seconds=_SLOW_S))
    rig.line(*workers)
    rig.upload(name)
    rig.until_struck(f"slow-{name}")
    owner = str(rig.value("SELECT lease_owner FROM run WHERE state = 'running'"))
    return next(one for one in workers if owner.endswith(f":{rig.child(one).pid}"))


if __name__ == "__main__":
    sys.exit(main())
