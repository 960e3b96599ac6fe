"""Compares the bucket with the database: the listing is the truth, and whatever else tells of slides only hurries it.

A large bucket is compared range by range, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from sqlalchemy import Engine

from db.counts import Decide
from scheduler.changes import Memory
from scheduler.comparison import Comparison, ListingReport
from scheduler.config import SchedulerSettings
from scheduler.registration import Door
from worker.storage import ObjectStore


def reconcile(
    store: ObjectStore,
    engine: Engine,
    settings: SchedulerSettings,
    decide: Decide,
    *,
    memory: Memory | None = None,
    announce: Callable[[], None] = lambda: None,
    stopping: Callable[[], bool] = lambda: False,
) -> ListingReport:
    """Register what is new or changed in the bucket, and mark as missing what two comparisons did not find.

    announce: called, at most once a second and at the end, after runs became due.
    stopping: once it is true the comparison ends early, and nothing is taken to be missing.
    Raises ServiceError when the store cannot be listed, UnavailableError, NotAllowedError without an active model.
    """
    door = Door(store=store, engine=engine, settings=settings, decide=decide)
    memory = memory or Memory()
    reports: list[ListingReport] = []
    for keys in memory.rounds.due(store):
        comparison = Comparison(door, memory, announce, keys)
        reports.append(comparison.run(stopping))
        if stopping():
            break
        memory.rounds.finish(keys)
    return _together(reports)


def _together(reports: list[ListingReport]) -> ListingReport:
    return ListingReport(
        listed=sum(one.listed for one in reports),
        new=tuple(chain.from_iterable(one.new for one in reports)),
        refused=tuple(chain.from_iterable(one.refused for one in reports)),
        missing=tuple(chain.from_iterable(one.missing for one in reports)),
        failed=sum(one.failed for one in reports),
    )
