"""What another model version would change: the patients whose finding flips, before any report does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select, text

from db import models
from db.counts import Decide, Share, Tally
from db.models import Reach
from db.records import Finding
from db.session import transaction
from db.tables import lab, patient
from db.tallies import tallies

_UNREAD = text(
    """
    SELECT DISTINCT slide.patient_id
      FROM slide CROSS JOIN unnest(CAST(:models AS bigint[])) AS wanted (id)
      LEFT JOIN run ON run.slide_id = slide.id AND run.model_version_id = wanted.id
     WHERE slide.state = 'current' AND (run.id IS NULL OR run.state IN ('pending', 'running', 'retry_wait'))
    """
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A patient's verdict under one model version."""

    model_version: str
    finding: Finding
    reason: str
    cells: int
    slides_quarantined: int
    shares: Mapping[str, Share]


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A patient whose finding is another under the second model version."""

    lab: str
    patient: str
    before: Judged
    after: Judged


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two model versions over the same archive."""

    before: str
    after: str
    compared: int  # patients whose slides both have read
    waiting: int  # patients with a slide that one of them still has to read: not compared
    reach_before: Reach
    reach_after: Reach
    flips: tuple[Flip, ...]


def difference(engine: Engine, before: str, after: str, decide: Decide) -> Difference:
    """Compare two model versions patient by patient, as of one moment.

    Verdicts are computed here, by the rule of each patient's lab, and not stored. Raises NotFoundError.
    """
    with transaction(engine.execution_options(isolation_level="REPEATABLE READ")) as conn:
        ids = [models.id_of(conn, name) for name in (before, after)]
        waiting = set(conn.execute(_UNREAD, {"models": ids}).scalars())
        everyone = _names(conn)
        compared = [patient_id for patient_id in everyone if patient_id not in waiting]
        old, new = (tallies(conn, model_id, compared) for model_id in ids)
        reach_before, reach_after = (models.reach(conn, name) for name in (before, after))
    # Judging thousands of patients takes longer than a transaction may stand idle.
    judged = ((one, _judged(old[one], decide), _judged(new[one], decide)) for one in compared)
    flips = tuple(
        Flip(lab=everyone[one][0], patient=everyone[one][1], before=first, after=second)
        for one, first, second in judged
        if first.finding != second.finding
    )
    return Difference(
        before=before,
        after=after,
        compared=len(compared),
        waiting=len(waiting),
        reach_before=reach_before,
        reach_after=reach_after,
        flips=flips,
    )


def _names(conn: Connection) -> dict[int, tuple[str, str]]:
    """Return every patient's lab and pseudonym by id, in that order."""
    wanted = select(patient.c.id, lab.c.code, patient.c.pseudonym).select_from(patient.join(lab))
    rows = conn.execute(wanted.order_by(lab.c.code, patient.c.pseudonym))
    return {row.id: (row.code, row.pseudonym) for row in rows}


def _judged(tally: Tally, decide: Decide) -> Judged:
    verdict = decide(tally)
    return Judged(
        model_version=tally.model_version,
        finding=verdict.finding,
        reason=verdict.reason,
        cells=verdict.cells,
        slides_quarantined=tally.slides_quarantined,
        shares=verdict.shares,
    )
