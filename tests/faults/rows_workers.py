"""Rows 1-6: workers that are killed, stopped in order, or stand still past their lease."""

from __future__ import annotations

import signal
import time
from functools import partial

from db.faultpoints import Action, Fault
from tests.faults.rig import LEASE_S, SWEEP_S, Rig

_TAKE_OVER_S = 10 * (LEASE_S + SWEEP_S)
"""A take-over is due after lease and sweep; the rest is head-room for a loaded machine."""
WORKER_POINTS = (
    "run.claimed",
    "slide.fetched",
    "slide.staged",
    "plan.stored",
    "batch.read",
    "batch.copied",
    "batch.written",
    "run.ending",
    "run.judged",
    "run.ended",
)
PAGE_POINTS = ("page.made", "page.put")
SCHEDULER_POINTS = ("slide.registering", "slide.registered", "sweep.due", "sweep.rung")
_TWO = ("worker", "worker-2")
_ENUMERATED = (Action.EXIT, Action.RAISE, Action.SLEEP)
_PAGES_DUE = "SELECT count(*) FROM report_page WHERE written < wanted"
_NO_PAUSE = "UPDATE report_page SET next_at = now() WHERE written < wanted AND next_at > now()"
"""Ends the pause before another try, and the lease of whoever was struck, which is ten minutes."""


def held(rig: Rig, point: str, *, skip: int = 5, workers: tuple[str, ...] = ("worker",), upload: str = "struck") -> str:
    """Start a line, and have the one that reads a slide stand still at a point; return that worker's name."""
    rig.arm(Fault(name=f"held-{upload}", point=point, action=Action.STOP, skip=skip))
    rig.line(*workers)
    rig.upload(upload)
    rig.until_struck(f"held-{upload}")
    owner = str(rig.value("SELECT lease_owner FROM run WHERE state = 'running'"))
    return next(name for name in workers if owner.endswith(f":{rig.child(name).pid}"))


def taken_over(rig: Rig, since: float) -> None:
    """Wait until another claim has been made, and note how long that took."""
    rig.until(lambda: rig.value("SELECT max(fence) FROM run") >= 2, "another takes over", within_s=_TAKE_OVER_S)
    rig.note(f"taken over after {time.monotonic() - since:.1f} s")


def child_killed(rig: Rig) -> None:
    """Row 1."""
    rig.child(held(rig, "batch.copied")).kill()
    taken_over(rig, time.monotonic())
    rig.settled()


def worker_killed(rig: Rig) -> None:
    """Row 2."""
    rig.kill(held(rig, "batch.copied", workers=_TWO))
    taken_over(rig, time.monotonic())
    rig.settled()


def worker_stopped(rig: Rig) -> None:
    """Row 3."""
    worker = held(rig, "batch.read")
    child = rig.child(worker)
    rig.parts[worker].send_signal(signal.SIGTERM)
    rig.until(lambda: "worker: " in rig.log_of(worker).read_text(), "the worker hears that it is to stop")
    child.resume()
    code = rig.stop(worker)
    assert code == 0, f"it ended with {code}"
    rig.until(lambda: rig.outcomes()["released"] == 1, "the run is released")
    assert rig.rows("SELECT state, attempt - releases AS burnt FROM run") == [{"state": "retry_wait", "burnt": 0}]
    rig.line("worker-2")
    rig.settled(hasten=False)
    assert rig.value("SELECT attempt - releases FROM run") == 1


def worker_stopped_then_killed(rig: Rig) -> None:
    """Row 4."""
    worker = held(rig, "batch.read", workers=_TWO)
    rig.parts[worker].send_signal(signal.SIGTERM)
    rig.until(lambda: "worker: " in rig.log_of(worker).read_text(), "the worker hears that it is to stop")
    rig.kill(worker)
    taken_over(rig, time.monotonic())
    rig.settled()


def worker_paused(rig: Rig) -> None:
    """Row 5."""
    worker = held(rig, "batch.read", workers=_TWO)
    first = rig.child(worker)
    (other,) = (name for name in _TWO if name != worker)
    second = rig.child(other)
    rig.arm(Fault(name="ahead", point="batch.written", action=Action.STOP, skip=1))
    rig.until_struck("ahead")  # the batch that the first was about to write is written by the second
    first.resume()
    rig.until(lambda: rig.outcomes()["fenced"] >= 1, "the old holder is fenced")
    second.resume()
    rig.settled()
    rig.note(f"fenced {rig.outcomes()['fenced']}")


def every_point(rig: Rig) -> None:
    """Row 6."""
    rig.line("worker")
    for point in (*WORKER_POINTS, *SCHEDULER_POINTS):
        for action in _ENUMERATED:
            _struck(rig, point, action)
            rig.settled(revive=True)
    rig.kill("scheduler")
    rig.start("scheduler", reports="true")
    for point in PAGE_POINTS:
        for action in _ENUMERATED:
            _struck(rig, point, action)
            rig.settled(revive=True)
            rig.until(partial(_every_page_written, rig), "every report is written")
    rig.note(f"{len((*WORKER_POINTS, *SCHEDULER_POINTS, *PAGE_POINTS)) * len(_ENUMERATED)} strikes")


def _struck(rig: Rig, point: str, action: Action) -> None:
    name = f"{point}-{action}"
    rig.arm(Fault(name=name, point=point, action=action, skip=0, seconds=1.5 * LEASE_S))
    rig.upload(name)
    rig.until_struck(name)


def _every_page_written(rig: Rig) -> bool:
    rig.revive()
    rig.execute(_NO_PAUSE)
    return int(rig.value(_PAGES_DUE)) == 0
