"""What is known of slides that are registered already: asked for by their keys, and corrected by a newer sidecar."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select, update

from db import patients, steps
from db.counts import Decide
from db.labs import LabDefaults
from db.records import RunState, SlideFacts, SlideState, StoredObject
from db.register import LOCK_KEY, told_values
from db.run_tables import run
from db.tables import slide

_ACTOR = "scheduler"
_DECIDES_READING = frozenset({"stain", "declared_mpp_um", "preparation"})


def current_by_key(conn: Connection, bucket: str, keys: Collection[str]) -> dict[str, StoredObject]:
    """Return the current slides' objects among those keys."""
    wanted = select(slide).where(
        slide.c.bucket == bucket, slide.c.key.in_(keys), slide.c.state == SlideState.CURRENT.value
    )
    return {row.key: steps.stored_object(row) for row in conn.execute(wanted)}


def current_elsewhere(conn: Connection, bucket: str) -> dict[str, int]:
    """Return how many current slides lie in each other bucket, by the buckets' names."""
    other = (slide.c.bucket != bucket, slide.c.state == SlideState.CURRENT.value)
    counts = select(slide.c.bucket, func.count()).where(*other).group_by(slide.c.bucket).order_by(slide.c.bucket)
    return {row[0]: row[1] for row in conn.execute(counts)}


def restate(
    conn: Connection, obj: StoredObject, facts: SlideFacts, defaults: LabDefaults, decide: Decide
) -> int | None:
    """Make other facts hold of a current slide; return the run that became due by it, if one did.

    A slide in quarantine is tried again. One that is being read, or is read, is read again when its stain or scale
    changed; otherwise its cells move to the right patient or specimen. Every patient concerned is judged anew.
    Nothing happens when the facts are the known ones, or the object is not current. Belongs in one transaction of
    its own, or in that of `register`.
    """
    conn.execute(LOCK_KEY, {"bucket": obj.bucket, "key": obj.key})
    same = (slide.c.bucket == obj.bucket, slide.c.key == obj.key)
    version = (slide.c.version_id == obj.version_id, slide.c.etag == obj.etag)
    current = slide.c.state == SlideState.CURRENT.value
    known = conn.execute(select(slide).where(*same, *version, current).with_for_update()).one_or_none()
    if known is None:
        return None
    told = told_values(conn, facts, defaults)
    changed = {name for name, value in told.items() if known._mapping[name] != value}
    if not changed:
        return None
    conn.execute(update(slide).where(slide.c.id == known.id).values(told))
    due = _start_again(conn, known.id, reread=bool(changed & _DECIDES_READING))
    patients.recompute_all(conn, {known.patient_id, told["patient_id"]}, decide)
    return due


def _start_again(conn: Connection, slide_id: int, *, reread: bool) -> int | None:
    due = None
    for row in conn.execute(select(run).where(run.c.slide_id == slide_id).order_by(run.c.id).with_for_update()):
        if row.state in (RunState.RUNNING, RunState.DONE) and reread:
            steps.step(conn, row.id, RunState.CANCELLED, actor=_ACTOR, reason="what it is or its scale was corrected")
        elif row.state != RunState.QUARANTINED:
            continue
        steps.to_pending(conn, row.id, actor=_ACTOR, reason="its sidecar was corrected")
        due = row.id
    return due
