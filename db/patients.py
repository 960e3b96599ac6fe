"""A patient's tally and verdict: the one place where a verdict is computed and stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, and_, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db.counts import Decide, Tally, Verdict
from db.errors import NotAllowedError, NotFoundError
from db.tables import active_model, lab, patient
from db.tallies import tallies
from db.verdict_tables import verdict, verdict_history


def tally(conn: Connection, patient_id: int, model_version_id: int) -> Tally:
    """Return what the patient's verdict under one model version rests on (`db.tallies`). Raises NotFoundError."""
    return tallies(conn, model_version_id, [patient_id])[patient_id]


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


def lock(conn: Connection, patient_ids: Iterable[int]) -> None:
    """Lock patients, in the order of their ids so that no two transactions deadlock, until the transaction ends."""
    wanted = select(patient.c.id).where(patient.c.id.in_(sorted(set(patient_ids))))
    conn.execute(wanted.order_by(patient.c.id).with_for_update())


def recompute_after_run(conn: Connection, patient_id: int, model_version_id: int, decide: Decide) -> None:
    """Recompute the patient's verdict after a step of a run by that model version, if any report rests on it.

    None does on a model version that reads the archive beside the active one, unless the patient is shown under it.
    The patient is locked before that is asked, so that an activation at the same time sees the run, or is seen.
    """
    locked = select(patient.c.shown_model_id).where(patient.c.id == patient_id).with_for_update()
    shown = conn.execute(locked).scalar_one_or_none()
    active = conn.execute(select(active_model.c.model_version_id)).scalar_one_or_none()
    if model_version_id in (shown, active):
        recompute(conn, patient_id, decide)


def recompute_all(conn: Connection, patient_ids: Iterable[int], decide: Decide) -> None:
    """Recompute several patients, locked in the order of their ids so that no two transactions deadlock."""
    for patient_id in sorted(set(patient_ids)):
        recompute(conn, patient_id, decide)


def names(conn: Connection, patient_ids: Iterable[int]) -> list[tuple[str, str]]:
    """Return lab and pseudonym of each of these patients, in that order."""
    wanted = select(lab.c.code, patient.c.pseudonym).select_from(patient.join(lab))
    rows = conn.execute(wanted.where(patient.c.id.in_(list(patient_ids))).order_by(lab.c.code, patient.c.pseudonym))
    return [(row.code, row.pseudonym) for row in rows]


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
    row = key | {"rev": rev, "inputs_digest": digest(now)} | values_of(now, found)
    statement = insert(verdict).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in key}
    same = and_(*(verdict.c[name].is_not_distinct_from(new) for name, new in changed.items() if name != "rev"))
    since = case((same, verdict.c.reported_at), else_=func.now())
    reported_at = conn.execute(
        statement.on_conflict_do_update(
            constraint=verdict.primary_key,
            set_={**changed, "reported_at": since},
            where=verdict.c.rev < statement.excluded.rev,
        ).returning(verdict.c.reported_at)
    ).scalar_one_or_none()
    stored = row if reported_at is None else row | {"reported_at": reported_at}
    conn.execute(insert(verdict_history).values(stored))
    return now.slides_open == 0 and now.slides_quarantined == 0, found


def values_of(now: Tally, found: Verdict) -> dict[str, Any]:
    """Return what is stored of a verdict, by column."""
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
    for one in document["specimens"]:  # likewise
        if not one["slides"]:
            del one["slides"]
        if not one["judged"]:
            del one["judged"]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
