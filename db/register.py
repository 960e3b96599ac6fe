"""Slides as the scheduler learns of them: new, changed, gone, back. Each call belongs in one transaction of its own.

Locks are taken in the order object key, slide, run, patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db import patients, steps
from db.counts import Decide
from db.errors import NotAllowedError, NotFoundError
from db.labs import LabDefaults, ensure_patient
from db.records import RunState, SlideFacts, SlideState, StoredObject
from db.run_tables import run
from db.tables import active_model, slide

ACTOR = "scheduler"
LOCK_KEY = text("SELECT pg_advisory_xact_lock(hashtextextended(:bucket || '/' || :key, 1))")
_GONE = ("superseded", "missing")
"""Error codes of runs that were cancelled because of their object; such runs start again when it is back."""


def register(
    conn: Connection, obj: StoredObject, facts: SlideFacts, defaults: LabDefaults, decide: Decide
) -> int | None:
    """Make the stored object the current slide of its key; return the run that became due by it, if one did.

    A known object version changes nothing, except that it comes back when it was missing or superseded, and that
    a newer upload of the same bytes releases its run from quarantine. What stood under the key before is
    superseded. Raises NotAllowedError when no model version is active.
    """
    conn.execute(LOCK_KEY, {"bucket": obj.bucket, "key": obj.key})
    known = conn.execute(select(slide).where(*_same(obj))).one_or_none()
    if known is not None and known.state == SlideState.CURRENT:
        return seen_again(conn, known, obj, decide)
    touched = supersede_others(conn, obj, keep=known.id if known else None)
    if known is not None:
        run_id = bring_back(conn, known, obj)
        touched.add(known.patient_id)
    else:
        patient_id, run_id = _insert(conn, obj, facts, defaults)
        touched.add(patient_id)
    patients.recompute_all(conn, touched, decide)
    return run_id


def current_slides(
    conn: Connection, bucket: str, prefix: str = "", *, after: str = "", last: str = ""
) -> Iterator[tuple[int, StoredObject]]:
    """Yield the current and incomplete slides whose key starts with the prefix, by key.

    after, last: only those whose key comes after the one, and not after the other, in byte order; empty: no bound.
    Read to the end before committing.
    """
    key = slide.c.key.collate("C")
    bounds = [*([key > after] if after else []), *([key <= last] if last else [])]
    standing = slide.c.state.in_((SlideState.CURRENT, SlideState.INCOMPLETE))
    wanted = select(slide).where(slide.c.bucket == bucket, standing, func.starts_with(slide.c.key, prefix), *bounds)
    rows = conn.execute(wanted.order_by(slide.c.key), execution_options={"yield_per": 1000})
    for row in rows:
        yield row.id, steps.stored_object(row)


def mark_missing(conn: Connection, slide_id: int, decide: Decide) -> None:
    """Note that a slide's object is gone: its patient's verdict is incomplete at once. Raises NotFoundError."""
    row = _locked_slide(conn, slide_id)
    if row.state not in (SlideState.CURRENT, SlideState.INCOMPLETE):
        return
    set_state(conn, slide_id, SlideState.MISSING)
    for run_row in _locked_runs(conn, slide_id):
        if run_row.state in steps.OPEN:
            _cancel_gone(conn, run_row.id, "missing", "the object is gone from the bucket")
    patients.recompute(conn, row.patient_id, decide)


def mark_found(conn: Connection, slide_id: int, decide: Decide) -> None:
    """Note that a missing slide's object is back. Raises NotFoundError, NotAllowedError when its key has another."""
    key = conn.execute(select(slide.c.bucket, slide.c.key).where(slide.c.id == slide_id)).mappings().one_or_none()
    conn.execute(LOCK_KEY, dict(key or {"bucket": "", "key": ""}))
    row = _locked_slide(conn, slide_id)
    if row.state != SlideState.MISSING:
        return
    obj = steps.stored_object(row)
    others = select(slide.c.id).where(
        slide.c.bucket == obj.bucket, slide.c.key == obj.key, slide.c.state == SlideState.CURRENT
    )
    if conn.execute(others).first() is not None:
        raise NotAllowedError(f"slide {slide_id}: another slide is current under its key")
    bring_back(conn, row, obj)
    patients.recompute(conn, row.patient_id, decide)


def _same(obj: StoredObject) -> tuple[Any, ...]:
    return (
        slide.c.bucket == obj.bucket,
        slide.c.key == obj.key,
        slide.c.version_id == obj.version_id,
        slide.c.etag == obj.etag,
    )


def seen_again(conn: Connection, known: Row[Any], obj: StoredObject, decide: Decide) -> int | None:
    """Release the current slide from quarantine when it was uploaded again; return the run that became due by it."""
    if obj.last_modified <= known.last_modified:
        return None
    conn.execute(
        update(slide).where(slide.c.id == known.id).values(last_modified=obj.last_modified, seen_at=func.now())
    )
    released = None
    for row in _locked_runs(conn, known.id):
        if row.state == RunState.QUARANTINED:
            steps.to_pending(conn, row.id, actor=ACTOR, reason="uploaded again")
            released = row.id
    if released is not None:
        patients.recompute(conn, known.patient_id, decide)
    return released


def supersede_others(conn: Connection, obj: StoredObject, *, keep: int | None) -> set[int]:
    """Supersede what else stands under the object's key; return the patients concerned."""
    same_key = (slide.c.bucket == obj.bucket, slide.c.key == obj.key)
    return supersede(conn, *same_key, slide.c.id.is_distinct_from(keep))


def supersede(conn: Connection, *which: ColumnElement[bool]) -> set[int]:
    """Supersede the standing slides that the conditions name; return the patients concerned."""
    standing = slide.c.state.in_((SlideState.INCOMPLETE, SlideState.CURRENT, SlideState.MISSING))
    others = select(slide.c.id, slide.c.patient_id).where(standing, *which).order_by(slide.c.id).with_for_update()
    touched = set()
    for other in conn.execute(others).all():
        set_state(conn, other.id, SlideState.SUPERSEDED)
        touched.add(other.patient_id)
        for row in _locked_runs(conn, other.id):
            if row.state in (*steps.OPEN, RunState.DONE):
                _cancel_gone(conn, row.id, "superseded", "another object stands under its key")
    return touched


def bring_back(conn: Connection, known: Row[Any], obj: StoredObject) -> int | None:
    """Make a missing or superseded slide current again; return the run that became due by it, if one did."""
    set_state(conn, known.id, SlideState.CURRENT, last_modified=obj.last_modified, seen_at=func.now())
    started = None
    active = active_model_id(conn)
    rows = _locked_runs(conn, known.id)
    for row in rows:
        newer = row.state == RunState.QUARANTINED and obj.last_modified > known.last_modified
        if newer or (row.state == RunState.CANCELLED and row.error_code in _GONE):
            steps.to_pending(conn, row.id, actor=ACTOR, reason="the object is back")
            started = row.id
    if all(row.model_version_id != active for row in rows):
        attempts = rows[0].max_attempts if rows else 5
        started = insert_run(conn, known.id, active, attempts)
    return started


def told_values(conn: Connection, facts: SlideFacts, defaults: LabDefaults) -> dict[str, Any]:
    """Return the columns of a slide that its key and its sidecar tell of; its patient is created when new."""
    patient_id, specimen = ensure_patient(conn, facts.lab, facts.patient, defaults)
    return {
        "patient_id": patient_id,
        "specimen": (facts.specimen or specimen).value,
        "stain": facts.stain,
        "declared_mpp_um": facts.mpp_um,
        "preparation": facts.preparation,
        "urgent": facts.urgent,
        "taken_at": facts.taken_at,
    }


def slide_values(conn: Connection, obj: StoredObject, facts: SlideFacts, defaults: LabDefaults) -> dict[str, Any]:
    """Return the columns of a slide but its state; its patient is created when new."""
    return told_values(conn, facts, defaults) | {
        "bucket": obj.bucket,
        "key": obj.key,
        "version_id": obj.version_id,
        "etag": obj.etag,
        "size_bytes": obj.size,
        "last_modified": obj.last_modified,
    }


def _insert(conn: Connection, obj: StoredObject, facts: SlideFacts, defaults: LabDefaults) -> tuple[int, int]:
    """Insert slide and run; return patient id and run id."""
    active = active_model_id(conn)
    values = slide_values(conn, obj, facts, defaults) | {"state": SlideState.CURRENT.value}
    slide_id = conn.execute(insert(slide).values(values).returning(slide.c.id)).scalar_one()
    return values["patient_id"], insert_run(conn, slide_id, active, defaults.max_attempts)


def insert_run(conn: Connection, slide_id: int, model_version_id: int, max_attempts: int) -> int:
    """Make a run due and return it."""
    values = {
        "slide_id": slide_id,
        "model_version_id": model_version_id,
        "max_attempts": max_attempts,
        "changed_by": ACTOR,
        "change_reason": "registered",
    }
    return int(conn.execute(insert(run).values(values).returning(run.c.id)).scalar_one())


def active_model_id(conn: Connection) -> int:
    """Return the active model version, which then stays so until this transaction ends."""
    found = conn.execute(select(active_model.c.model_version_id).with_for_update(read=True)).scalar_one_or_none()
    if found is None:
        raise NotAllowedError("no model version is active: activate one first")
    return int(found)


def _locked_slide(conn: Connection, slide_id: int) -> Row[Any]:
    row = conn.execute(select(slide).where(slide.c.id == slide_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError(f"no slide {slide_id}")
    return row


def _locked_runs(conn: Connection, slide_id: int) -> list[Row[Any]]:
    return list(conn.execute(select(run).where(run.c.slide_id == slide_id).order_by(run.c.id).with_for_update()))


def set_state(conn: Connection, slide_id: int, state: SlideState, **values: Any) -> None:
    """Move a locked slide to a state; the trigger refuses what is no step."""
    conn.execute(update(slide).where(slide.c.id == slide_id).values(state=state.value, **values))


def _cancel_gone(conn: Connection, run_id: int, code: str, cause: str) -> None:
    error = {"error_code": code, "error_cause": cause, "error_remedy": "upload the object again"}
    steps.step(conn, run_id, RunState.CANCELLED, actor=ACTOR, reason=cause, **error)
