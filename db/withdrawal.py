"""Slides that a person withdraws: they are not read, by no model version, and bear on no verdict until restored."""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from db import steps, sweeping
from db.counts import Decide
from db.errors import NotAllowedError, NotFoundError
from db.records import SlideState
from db.run_tables import run
from db.tables import slide
from db.tallies import WITHDRAWN

_STAND = (SlideState.CURRENT.value, SlideState.MISSING.value)
_STAYS = text(
    """
    UPDATE run SET state = 'cancelled', error_code = other.error_code, error_cause = other.error_cause,
           error_remedy = other.error_remedy, changed_by = 'operator', change_reason = 'its slide is withdrawn'
      FROM (SELECT DISTINCT ON (slide_id) * FROM run
             WHERE state = 'cancelled' AND error_code = :withdrawn ORDER BY slide_id, id DESC) AS other
     WHERE run.slide_id = other.slide_id AND run.model_version_id = :model_version_id
       AND run.state = 'pending' AND run.attempt = 0
    """
)


def withdraw(conn: Connection, slide_id: int, decide: Decide, reason: str, *, actor: str = "operator") -> None:
    """Cancel every reading of a slide, past ones too; whoever reads it now is stopped. Harmless when withdrawn.

    Raises NotFoundError, NotAllowedError when there is nothing to cancel.
    """
    for run_id in _runs(conn, slide_id):
        sweeping.cancel(conn, run_id, decide, reason, actor=actor)


def restore(conn: Connection, slide_id: int, decide: Decide, *, actor: str = "operator") -> None:
    """Make every reading of a withdrawn slide due again. Raises NotFoundError, NotAllowedError."""
    for run_id in _runs(conn, slide_id):
        row = steps.locked(conn, run_id)
        if row.error_code == WITHDRAWN:
            sweeping.requeue(conn, run_id, decide, actor=actor)


def stay_withdrawn(conn: Connection, model_version_id: int) -> int:
    """Withdraw the new runs of slides that are withdrawn under another model version; return how many."""
    return conn.execute(_STAYS, {"model_version_id": model_version_id, "withdrawn": WITHDRAWN}).rowcount


def _runs(conn: Connection, slide_id: int) -> list[int]:
    """Lock the slide, so that it gets no run meanwhile, and return its runs."""
    found = conn.execute(select(slide).where(slide.c.id == slide_id).with_for_update()).one_or_none()
    if found is None:
        raise NotFoundError(f"no slide {slide_id}")
    runs = list(conn.execute(select(run.c.id).where(run.c.slide_id == slide_id).order_by(run.c.id)).scalars())
    if found.state not in _STAND or not runs:
        raise NotAllowedError(f"slide {slide_id} is {found.state}: there is no reading of it to cancel or to restore")
    return runs
