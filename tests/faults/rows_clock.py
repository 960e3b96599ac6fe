"""Row 43: processes whose clock is an hour ahead or behind."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
from sqlalchemy import DateTime

from db.faultpoints import Action, Fault
from db.schema_facts import metadata
from tests.faults.ground import environment
from tests.faults.nursery import Nursery
from tests.faults.rig import KEPT, SWEEP_S, Rig

_LIBRARY = "faketime/libfaketimeMT.so.1"
_DURATIONS_ARE_RIGHT = {
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    # What the library does by default for old versions of glibc has the timed waits of Python's lock spin: threads
    # starve on a busy machine, the heartbeat first, and a lease is lost that no clock has anything to do with.
    "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    "NO_FAKE_STAT": "1",  # the times of files are told by the disk
}
_OFFSETS_S = {"behind": -3600, "ahead": 3600}
_NEAR = timedelta(minutes=30)
_LEASE_S = 8.0
"""Longer than in other rows: the lease has to be looked at before it is over, however busy the machine."""
_LATE_S = 10 * (_LEASE_S + SWEEP_S)
_HELD = "SELECT id, fence, lease_owner, lease_until FROM run WHERE state = 'running'"
_TAKEN = "SELECT at FROM transition WHERE run_id = {id} AND fence > {fence} AND to_state = 'running'"
_TOLD_BY_OTHERS = {"last_modified", "taken_at"}
"""Times of a store or of a laboratory."""


def wrong_clock(rig: Rig) -> None:
    """Row 43: scheduler and workers are an hour off, in either direction, also when a lease runs out."""
    waited = []
    for name, offset_s in _OFFSETS_S.items():
        nursery = _off(rig, offset_s)
        workers = (f"worker-{name}", f"worker-{name}-2")
        rig.line(schedulers=())
        for part in (f"scheduler-{name}", *workers):
            rig.nurseries[part] = nursery
            rig.start(part, lease_s=str(_LEASE_S))
        rig.until(partial(_up, rig, workers), "the workers are up")
        waited.append(_taken_over_in_time(rig, workers, name))
        rig.upload(f"bystander-{name}", "b", patient="other")
        rig.settled()
        for part in (f"scheduler-{name}", *workers):
            _says(rig, part, offset_s)
    assert (stray := _stray_times(rig)) == [], stray
    late = ", ".join(f"{seconds:.1f}" for seconds in waited)
    rig.note(f"clocks off by {', '.join(f'{offset_s:+d} s' for offset_s in _OFFSETS_S.values())}")
    rig.note(f"taken over {late} s after the lease by the database's clock")


def _up(rig: Rig, workers: tuple[str, str]) -> bool:
    return all(rig.children(one) for one in workers)


def _off(rig: Rig, offset_s: int) -> Nursery:
    """Start a nursery whose parts have a wrong clock; how long things take they measure right."""
    found = sorted(Path("/usr/lib").glob(f"*/{_LIBRARY}"))
    assert found, "libfaketime is not there: apt-get install libfaketime"
    wrong = {"LD_PRELOAD": str(found[0]), "FAKETIME": f"{offset_s:+d}", **_DURATIONS_ARE_RIGHT}
    return rig.opened.enter_context(closing(Nursery(environment(), wrong)))


def _taken_over_in_time(rig: Rig, workers: tuple[str, str], name: str) -> float:
    """Have the one that reads a slide stand still; return how long after its lease the other took over, in seconds."""
    rig.arm(Fault(name=f"held-{name}", point="batch.read", action=Action.STOP, skip=3))
    rig.upload(f"struck-{name}")
    rig.until(lambda: rig.struck(f"held-{name}"), "the slide is read", within_s=_LATE_S)
    (run,) = rig.rows(_HELD)
    held = next(child for one in workers for child in rig.children(one) if run["lease_owner"].endswith(f":{child.pid}"))
    assert held.status() == psutil.STATUS_STOPPED, "another had taken over before the lease could be looked at"
    taken = _TAKEN.format(**run)
    rig.until(lambda: rig.rows(taken), "another takes over", within_s=_LATE_S)
    held.resume()
    late: timedelta = rig.value(taken) - run["lease_until"]
    assert late > timedelta(0), f"taken over {-late} before the lease was over"
    return late.total_seconds()


def _says(rig: Rig, part: str, offset_s: int) -> None:
    """Fail unless a part's words bear the wrong time, which proves that it had it."""
    times = [datetime.fromisoformat(entry["timestamp"]) for entry in rig.entries_of(part)]
    assert times, f"{part} said nothing"
    right = datetime.now(UTC) + timedelta(seconds=offset_s)
    assert all(abs(one - right) < _NEAR for one in times), f"{part} had the right time"


def _stray_times(rig: Rig) -> list[str]:
    """Return the columns that hold a time which the database's own clock did not show of late."""
    stray = []
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime) and column.name not in _TOLD_BY_OTHERS:
                past = "-1 year" if table.name in KEPT else f"-{_NEAR.total_seconds():.0f} s"
                near = f"now() + '{past}'::interval AND now() + '{_NEAR.total_seconds():.0f} s'::interval"
                if rig.value(f"SELECT count(*) FROM {table.name} WHERE {column.name} NOT BETWEEN {near}"):
                    stray.append(f"{table.name}.{column.name}")
    return stray
