"""Writes `<key>.status.json` beside each upload, after the transaction that changed what it says.

Which statuses are due stands in Postgres, so that a crash, a bucket that is away or a refused write only delays them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, Engine

from db import statuses
from db.session import transact
from db.statuses import StatusClaim, UploadStanding
from scheduler.failures import name_in_logs
from scheduler.intake import status_key
from scheduler.registration import PATIENCE_S
from scheduler.set_intake import is_there
from scheduler.status_words import Status, is_final, status_of
from worker.errors import BadRequestError, ServiceError
from worker.storage import RESULTS_PREFIX, ObjectStore

log = structlog.get_logger(__name__)

_NOTES = 5000
_AT_ONCE = 20
_LEASE_S = 120.0
_SOON_S, _LATEST_S = 15.0, 900.0
_IN_SUCCESSION = 3


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where statuses come from and go to."""

    store: ObjectStore
    engine: Engine


def tell_labs(desk: Desk, *, stopping: Callable[[], bool] = lambda: False) -> int:
    """Write the statuses that are due; return how many files were written.

    One that cannot be written is tried again later, ever more seldom; after three in succession the bucket is taken to
    be away. Several may do this at once. Raises ServiceError, UnavailableError.
    """
    while transact(desk.engine, lambda conn: statuses.gather(conn, _NOTES), patience_s=PATIENCE_S) == _NOTES:
        continue
    told = 0
    while not stopping():
        claims, slides = transact(desk.engine, lambda conn: _claimed(conn, desk.store), patience_s=PATIENCE_S)
        if not claims:
            break
        told += _tell(desk, claims, slides)
    if told:
        log.info("told labs", statuses=told)
    return told


def _claimed(conn: Connection, store: ObjectStore) -> tuple[list[StatusClaim], dict[str, UploadStanding]]:
    claims = statuses.claim(conn, store.name, store.prefix, limit=_AT_ONCE, lease_s=_LEASE_S)
    return claims, statuses.standing(conn, store.name, [one.key for one in claims])


def _tell(desk: Desk, claims: Sequence[StatusClaim], slides: dict[str, UploadStanding]) -> int:
    """Write some statuses; those that would come too late for their lease are left to whoever claims them next."""
    until = time.monotonic() + _LEASE_S / 2
    written = failures = 0
    for held in claims:
        if time.monotonic() > until:
            break
        try:
            written += _tell_one(desk, held, slides.get(held.key))
            failures = 0
        except ServiceError as error:
            delay_s = min(_SOON_S * 2.0 ** min(held.tries, 10), _LATEST_S)
            _transact(desk, partial(statuses.postpone, held=held, delay_s=delay_s))
            log.warning("a status is not written", object=name_in_logs(held.key), error=str(error), tries=held.tries)
            failures += 1
            if failures == _IN_SUCCESSION:
                raise
    return written


def _tell_one(desk: Desk, held: StatusClaim, slide: UploadStanding | None) -> bool:
    """Write one status if it says anything new; tell whether it was written."""
    status = status_of(slide, held.refusal, report=_report(desk.store, slide))
    wrote = status is not None and status.digest() != held.digest and _put(desk.store, held, status)
    told = (status.state, status.digest()) if status and wrote else None
    _transact(desk, lambda conn: statuses.written(conn, held, told))
    return wrote


def _put(store: ObjectStore, held: StatusClaim, status: Status) -> bool:
    """Write the file beside what it speaks of; where that is gone, only over a status that is left there."""
    beside = status_key(held.key)
    if not is_there(store, held.key) and (status.state != "missing" or store.head(beside) is None):
        return False
    try:
        store.put_bytes(beside, status.document(held.at))
    except BadRequestError as error:  # the key is too long for more letters: no later try can help
        log.warning("a status has no place", object=name_in_logs(held.key), error=type(error).__name__)
        return False
    return True


def _report(store: ObjectStore, slide: UploadStanding | None) -> str | None:
    """Return the key of the report that shows the patient's finding as it stands, if that lies in this bucket."""
    if slide is None or slide.report is None or not is_final(slide):
        return None
    here = slide.report.startswith(store.prefix + RESULTS_PREFIX) and store.head(slide.report) is not None
    return slide.report if here else None


def _transact(desk: Desk, work: Callable[[Connection], object]) -> None:
    transact(desk.engine, work, patience_s=PATIENCE_S)
