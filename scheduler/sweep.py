"""Makes due runs and reports heard of, within what the workers can take, and ends runs that no attempt is left for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Engine

from db import runs, workers
from db.counts import Decide
from db.faultpoints import faultpoint
from db.session import transact, transaction
from scheduler.doorbell import Doorbell
from scheduler.pages import PagesRung, most_pages, ring_pages
from scheduler.registration import PATIENCE_S

log = structlog.get_logger(__name__)

LEAST_WAITING = 8
"""So many messages may wait however few workers there are."""
_PER_WORKER = 4
_PAGES_SEEN = 1000
"""More messages for reports than there ever are: workers that left may have left more than there may be now."""


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What one sweep did; all zero when another scheduler was sweeping."""

    expired: int = 0
    waiting: int = 0  # messages that no worker has taken yet
    rung: int = 0  # messages that were added
    again: int = 0  # of them for reports whose message was taken before, by whoever did nothing
    pages: int = 0  # reports on their way into the bucket


def sweep(engine: Engine, bell: Doorbell, decide: Decide, *, with_pages: bool = False) -> SweepReport:
    """Quarantine what died with its last attempt, then ring for due runs, and, if wanted, for due reports.

    No more messages wait at any time than max(8, 4 for each live worker). A run whose message waits is not rung
    for again; a message that was lost is made up for by the next sweep. Where no room is left for an urgent run, a
    message that is not urgent makes way. Two sweeps never run at once.
    Messages for reports count in that number, and are few (`most_pages`).
    Raises ServiceError when the broker does not answer, UnavailableError.
    """
    expired = transact(engine, lambda conn: _expire(conn, decide), patience_s=PATIENCE_S)
    with transaction(engine) as conn:  # the lock is held until all are rung, so nobody rings for them meanwhile
        if not runs.sweep_lock(conn):
            return SweepReport(expired=expired)
        live = workers.live(conn)
        most = most_pages(live)
        waiting_pages = bell.waiting_pages(_PAGES_SEEN) if with_pages else set()
        budget = budget_for(live) - min(most, len(waiting_pages))
        waiting = bell.waiting(budget)
        rung = _ring(conn, bell, budget, waiting)
        faultpoint("sweep.rung")
        room = max(0, budget - len(waiting) - rung)
        told = PagesRung(out=0, rung=0, again=0)
        if with_pages:
            told = ring_pages(engine, bell, waiting_pages, most=most, room=room)
    return SweepReport(expired=expired, waiting=len(waiting), rung=rung + told.rung, again=told.again, pages=told.out)


def forget_workers(engine: Engine) -> None:
    """Delete the workers that are long gone. Raises UnavailableError."""
    transact(engine, workers.forget, patience_s=PATIENCE_S)


def budget_for(live_workers: int) -> int:
    """Return how many messages may wait: enough that no worker idles, few enough that little is lost with them."""
    return max(LEAST_WAITING, _PER_WORKER * live_workers)


def _ring(conn: Connection, bell: Doorbell, budget: int, waiting: Collection[int]) -> int:
    due = runs.due(conn, budget, waiting)
    urgent = runs.urgent(conn, due)
    faultpoint("sweep.due")
    room = max(0, budget - len(waiting))
    if len(urgent) > room:
        room += bell.take_back(len(urgent) - room)
    first = [run_id for run_id in due if run_id in urgent][:room]
    rest = [run_id for run_id in due if run_id not in urgent][: room - len(first)]
    rung = bell.ring(first, urgent=True)
    return rung + (bell.ring(rest) if rung == len(first) else 0)


def _expire(conn: Connection, decide: Decide) -> int:
    if not runs.sweep_lock(conn):
        return 0
    expired = runs.expire(conn, decide)
    for run_id in expired:
        log.warning("quarantined: its worker went silent in the last attempt", run_id=run_id)
    return len(expired)
