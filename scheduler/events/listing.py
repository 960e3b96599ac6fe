"""The bucket's own listing as a source of slides: the truth, which alone is enough."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from db.facts import current_elsewhere
from db.session import transact
from scheduler.changes import Memory
from scheduler.comparison import ListingReport
from scheduler.listing import reconcile
from scheduler.registration import PATIENCE_S, Door

log = structlog.get_logger(__name__)


class Listing:
    """The listing as a source."""

    name = "listing"

    def __init__(self, door: Door, *, announce: Callable[[], None], stopping: Callable[[], bool]) -> None:
        self._door = door
        self._announce = announce
        self._stopping = stopping
        self._memory = Memory()
        self._begun = False
        self.every_s = door.settings.list_s

    def poll(self) -> int:
        """See EventSource.poll."""
        door = self._door
        if not self._begun:
            _tell_of_other_buckets(door)
            self._begun = True
        report = reconcile(
            door.store,
            door.engine,
            door.settings,
            door.decide,
            memory=self._memory,
            announce=self._announce,
            stopping=self._stopping,
        )
        _tell(report)
        return len(report.new)


def _tell_of_other_buckets(door: Door) -> None:
    """Warn of slides that would be registered a second time if this bucket held them under another name."""
    name = door.store.name
    counts = transact(door.engine, lambda conn: current_elsewhere(conn, name), patience_s=PATIENCE_S)
    for other, slides in counts.items():
        log.warning(
            "slides of another bucket count too",
            slides=slides,
            bucket=other,
            this_bucket=name,
            remedy="nothing, when the two hold different slides; when this is the same folder under another name, stop "
            f"the scheduler and start it with MARROWLINE_BUCKET_NAME={other}, or they are read and counted twice",
        )


def _tell(report: ListingReport) -> None:
    counts = {name: len(getattr(report, name)) for name in ("new", "refused", "missing")}
    happened = report.failed or any(counts.values())
    (log.info if happened else log.debug)("listed", objects=report.listed, failed=report.failed, **counts)
