"""Has the workers write patients' reports into the bucket: hands out what is due, a few at a time, and rings for it."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import StatementError

from db import pages
from db.errors import DatabaseError, UnavailableError
from db.session import transact
from scheduler.doorbell import Doorbell
from scheduler.registration import PATIENCE_S

log = structlog.get_logger(__name__)

NO_CASE = "no_case"
_WORKERS_A_PAGE = 4


def most_pages(live_workers: int) -> int:
    """Return how many reports may be on their way: one for every four workers, so that most of them go on reading."""
    return max(1, live_workers // _WORKERS_A_PAGE)


def ring_pages(engine: Engine, bell: Doorbell, waiting: Collection[int], *, most: int, room: int) -> tuple[int, int]:
    """Hand out due reports, ring for those that no worker has taken; return how many are on their way, and rung for.

    These are never more than `most`, and never more than `room` messages are added. A report that cannot be handed out
    is tried again later and keeps no other waiting. Two schedulers may not do this at once.
    waiting: patients of messages that wait in the broker already. Raises UnavailableError.
    """
    for patient_id in transact(engine, pages.give_up_lost, patience_s=PATIENCE_S):
        log.error("a report is given up: its workers went silent", patient_id=patient_id)
    out = dict(transact(engine, pages.handed_out, patience_s=PATIENCE_S))
    wanted = max(0, most - len(out))
    for patient_id in transact(engine, lambda conn: pages.due(conn, wanted), patience_s=PATIENCE_S):
        if _hand_out(engine, patient_id):
            out[patient_id] = True
    unheard = [patient_id for patient_id, free in out.items() if free and patient_id not in waiting]
    return len(out), bell.ring_pages(unheard[:room])


def _hand_out(engine: Engine, patient_id: int) -> bool:
    try:
        return transact(engine, lambda conn: pages.hand_out(conn, patient_id), patience_s=PATIENCE_S)
    except UnavailableError:
        raise
    except (DatabaseError, StatementError, ValueError) as error:  # its text may hold a pseudonym
        log.warning("a report cannot be handed out", patient_id=patient_id, error=type(error).__name__)
        transact(engine, lambda conn: pages.refuse(conn, patient_id, NO_CASE), patience_s=PATIENCE_S)
        return False
