"""A patient's tally and verdict: the one place where a verdict is computed and stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.errors import NotAllowedError, NotFoundError
from db.records import Decide, Specimen, SpecimenTally, Tally, Verdict
from db.tables import active_model, lab, model_version, patient
from db.verdict_tables import verdict, verdict_history

WITHDRAWN = "withdrawn"
"""Error code of a run that a person cancelled: its slide no longer bears on the verdict."""

_STANDING = text(
    """
    SELECT slide.specimen, run.id AS run_id,
      CASE WHEN run.state = 'cancelled' AND run.error_code = :withdrawn THEN 'withdrawn'
           WHEN slide.state <> 'current' THEN 'open'
           WHEN run.state IN ('done', 'quarantined') THEN run.state
           ELSE 'open' END AS standing
      FROM slide LEFT JOIN run ON run.slide_id = slide.id AND run.model_version_id = :model_version_id
     WHERE slide.patient_id = :patient_id AND slide.state <> 'superseded'
    """
)
_COUNTS = text(
    """
    SELECT cell_class, sum(called) AS called, sum(abstained) FILTER (WHERE counted) AS abstained
      FROM run_count WHERE run_id = ANY (:runs) GROUP BY cell_class ORDER BY cell_class
    """
)


def tally(conn: Connection, patient_id: int, model_version_id: int) -> Tally:
    """Return what the patient's verdict under one model version rests on, as this statement sees it.

    A slide that is incomplete, missing, or not read by this model version counts as open; counts come from done
    slides only. Raises NotFoundError.
    """
    names = conn.execute(
        select(lab.c.rule, model_version.c.name)
        .select_from(patient.join(lab).join(model_version, model_version.c.id == model_version_id))
        .where(patient.c.id == patient_id)
    ).one_or_none()
    if names is None:
        raise NotFoundError(f"no patient {patient_id} or no model version {model_version_id}")
    parameters = {"patient_id": patient_id, "model_version_id": model_version_id, "withdrawn": WITHDRAWN}
    slides = conn.execute(_STANDING, parameters).mappings().all()
    standings = [slide["standing"] for slide in slides]
    return Tally(
        model_version=names.name,
        rule=names.rule,
        specimens=_specimens(conn, [slide for slide in slides if slide["standing"] == "done"]),
        slides_done=standings.count("done"),
        slides_open=standings.count("open"),
        slides_quarantined=standings.count("quarantined"),
    )


def _specimens(conn: Connection, done: list[RowMapping]) -> tuple[SpecimenTally, ...]:
    runs: dict[str, list[int]] = {}
    for slide in done:
        runs.setdefault(slide["specimen"], []).append(slide["run_id"])
    return tuple(_specimen(conn, Specimen(name), runs[name]) for name in sorted(runs))


def _specimen(conn: Connection, specimen: Specimen, runs: list[int]) -> SpecimenTally:
    rows = conn.execute(_COUNTS, {"runs": runs}).all()
    return SpecimenTally(
        specimen=specimen,
        counts={row.cell_class: int(row.called) for row in rows if row.called},
        abstained=sum(int(row.abstained or 0) for row in rows),
        slides_done=len(runs),
    )


def recompute(conn: Connection, patient_id: int, decide: Decide) -> Verdict:
    """Compute and store the patient's verdict; called in every transaction that changes what it rests on.

    The patient's row is locked in a statement of its own, so that the tally sees every transaction that held the
    lock before. A patient shown under an older model version keeps that verdict, recomputed too, until the active
    version has read all its slides or the older verdict is itself no longer complete. Returns the verdict shown.
    """
    rev, shown = _lock(conn, patient_id)
    active = conn.execute(select(active_model.c.model_version_id)).scalar_one_or_none()
    if active is None:
        raise NotAllowedError("no model version is active: activate one first")
    complete, found = _judge(conn, patient_id, active, rev, decide)
    if shown not in (None, active):
        older_complete, older = _judge(conn, patient_id, shown, rev, decide)
        if older_complete and not complete:
            return older
    if shown != active:
        conn.execute(update(patient).where(patient.c.id == patient_id).values(shown_model_id=active))
    return found


def recompute_all(conn: Connection, patient_ids: Iterable[int], decide: Decide) -> None:
    """Recompute several patients, locked in the order of their ids so that no two transactions deadlock."""
    for patient_id in sorted(set(patient_ids)):
        recompute(conn, patient_id, decide)


def _lock(conn: Connection, patient_id: int) -> tuple[int, int | None]:
    row = conn.execute(
        update(patient)
        .where(patient.c.id == patient_id)
        .values(rev=patient.c.rev + 1)
        .returning(patient.c.rev, patient.c.shown_model_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no patient {patient_id}")
    return row.rev, row.shown_model_id


def _judge(conn: Connection, patient_id: int, model_id: int, rev: int, decide: Decide) -> tuple[bool, Verdict]:
    """Return whether every slide is read under the model version, and the verdict that was stored for it."""
    now = tally(conn, patient_id, model_id)
    found = decide(now)
    key = {"patient_id": patient_id, "model_version_id": model_id}
    row = key | {"rev": rev, "inputs_digest": digest(now)} | _values(now, found)
    statement = insert(verdict).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in key} | {"reported_at": func.now()}
    conn.execute(
        statement.on_conflict_do_update(
            constraint=verdict.primary_key, set_=changed, where=verdict.c.rev < statement.excluded.rev
        )
    )
    conn.execute(insert(verdict_history).values(row))
    return now.slides_open == 0 and now.slides_quarantined == 0, found


def _values(now: Tally, found: Verdict) -> dict[str, Any]:
    return {
        "finding": found.finding.value,
        "reason": found.reason,
        "rule": found.rule,
        "cells": found.cells,
        "slides_done": now.slides_done,
        "slides_open": now.slides_open,
        "slides_quarantined": now.slides_quarantined,
        "shares": {name: asdict(share) for name, share in found.shares.items()},
        "evidence": dict(found.evidence),
    }


def digest(of: Tally) -> str:
    """Return the sha256 of a tally's canonical JSON; equal tallies have equal digests."""
    document = asdict(of)
    if of.confusion is None:  # so that the digest of such a tally is the one it had before there were any
        del document["confusion"]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
