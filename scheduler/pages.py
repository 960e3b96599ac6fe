"""Has the workers write patients' reports into the bucket: hands out what is due, a few at a time, and rings for it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db import pages
from db.errors import UnavailableError
from db.session import transact
from scheduler.doorbell import Doorbell
from scheduler.registration import PATIENCE_S

log = structlog.get_logger(__name__)

NO_CASE = "no_case"
_WORKERS_A_PAGE = 4
_LOOKED_AT = 100
"""So many due reports are looked at in one sweep: of those that turn out to need none, many at a time are settled."""
_LONGEST_S = 10.0
"""For so long cases are gathered in one sweep: its lock is lost when it holds it idle for `idle_timeout_s` (30 s)."""


@dataclass(frozen=True, kw_only=True)
class PagesRung:
    """What one sweep did for reports."""

    out: int  # on their way
    rung: int  # messages that were added
    again: int  # of them for reports that were handed out before: whoever took their messages did nothing


def most_pages(live_workers: int) -> int:
    """Return how many reports may be on their way: one for every four workers, so that most of them go on reading."""
    return max(1, live_workers // _WORKERS_A_PAGE)


def ring_pages(engine: Engine, bell: Doorbell, waiting: Collection[int], *, most: int, room: int) -> PagesRung:
    """Hand out due reports, and ring for those that no worker has taken.

    Never are more than `most` handed out, and never more than `room` messages added. A case that the verdict has left
    behind is taken back first, and a report that cannot be handed out keeps no other waiting. Two schedulers may not do
    this at once.
    waiting: patients of messages that wait in the broker already. Raises UnavailableError.
    """
    for patient_id in transact(engine, pages.give_up_lost, patience_s=PATIENCE_S):
        log.error("a report is given up: its workers went silent", patient_id=patient_id)
    transact(engine, pages.take_back, patience_s=PATIENCE_S)
    before = transact(engine, pages.handed_out, patience_s=PATIENCE_S)
    fresh = _hand_out_some(engine, most - len(before))
    lost = [patient_id for patient_id, free in before.items() if free and patient_id not in waiting]
    unheard = [*lost, *(patient_id for patient_id in fresh if patient_id not in waiting)]
    rung = bell.ring_pages(unheard[:room])
    return PagesRung(out=len(before) + len(fresh), rung=rung, again=min(rung, len(lost)))


def _hand_out_some(engine: Engine, most: int) -> list[int]:
    given: list[int] = []
    if most <= 0:
        return given
    until = time.monotonic() + _LONGEST_S
    for patient_id in transact(engine, lambda conn: pages.due(conn, _LOOKED_AT), patience_s=PATIENCE_S):
        if len(given) == most or time.monotonic() > until:
            break
        if _hand_out(engine, patient_id):
            given.append(patient_id)
    return given


def _hand_out(engine: Engine, patient_id: int) -> bool:
    try:
        return transact(engine, lambda conn: pages.hand_out(conn, patient_id), patience_s=PATIENCE_S)
    except (UnavailableError, PoolTimeoutError):
        raise
    except Exception as error:  # of any kind: one patient's case must not stop the readings of all others
        name = type(error).__name__  # its text may hold a pseudonym
        log.warning("a report cannot be handed out", patient_id=patient_id, error=name)
        transact(engine, lambda conn: pages.refuse(conn, patient_id, NO_CASE), patience_s=PATIENCE_S)
        return False
