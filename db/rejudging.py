"""Verdicts that do not rest on the cells as persons left them: found and judged anew, as after an upgrade."""

from __future__ import annotations

from functools import partial
from itertools import groupby

from sqlalchemy import Connection, Engine, text

from db import patients
from db.counts import Decide
from db.session import transact, transaction
from db.tallies import tallies

_AT_ONCE = 200
_CORRECTED = text(
    """
    SELECT patient.shown_model_id, patient.id, verdict.inputs_digest
      FROM patient LEFT JOIN verdict ON (patient_id, model_version_id) = (patient.id, patient.shown_model_id)
     WHERE patient.shown_model_id IS NOT NULL AND patient.id IN (
             SELECT slide.patient_id FROM slide JOIN run ON run.slide_id = slide.id
              WHERE run.id IN (SELECT run_id FROM corrected_cell))
     ORDER BY patient.shown_model_id, patient.id
    """
)


def judge_corrected(engine: Engine, decide: Decide) -> list[int]:
    """Judge the patients anew whose verdict does not rest on what persons said of their cells; return them.

    Such verdicts are those of versions that took no account of corrections, or of less than this one does. Nothing
    happens to the others, so that doing it again is harmless. A model version is active. Raises UnavailableError.
    """
    with transaction(engine) as conn:
        stale = _stale(conn)
    for patient_id in stale:
        transact(engine, partial(patients.recompute, patient_id=patient_id, decide=decide))
    return stale


def _stale(conn: Connection) -> list[int]:
    found: list[int] = []
    for model_version_id, rows in groupby(conn.execute(_CORRECTED).all(), key=lambda row: int(row.shown_model_id)):
        stored = {row.id: row.inputs_digest for row in rows}
        asked = list(stored)
        for start in range(0, len(asked), _AT_ONCE):
            now = tallies(conn, model_version_id, asked[start : start + _AT_ONCE])
            found += [patient_id for patient_id, one in now.items() if patients.digest(one) != stored[patient_id]]
    return found
