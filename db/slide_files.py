"""Slides of several files: registered at the first of them, due to be read once all have come.

Such a slide is known by its manifest, a digest over its files, which changes as they arrive; the identity of its row
is the first manifest that was seen. Which files make it up is stored when it becomes complete, and stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db import patients, register, steps
from db.counts import Decide
from db.labs import LabDefaults
from db.records import SlideFacts, SlideState, StoredObject
from db.tables import slide, slide_file

_GONE = (SlideState.SUPERSEDED.value, SlideState.MISSING.value)


@dataclass(frozen=True, kw_only=True)
class FoundSet:
    """The files of a slide, as they lie in the bucket now."""

    obj: StoredObject  # the set's key, the size of all its files, the last time one of them was changed
    files: tuple[StoredObject, ...]
    manifest: str
    complete: bool
    quiet_s: float | None = None  # an incomplete one counts as complete when it stays the same so long; None: never


@dataclass(frozen=True, kw_only=True)
class KnownSet:
    """A current slide of several files."""

    manifest: str
    obj: StoredObject
    file_keys: frozenset[str]


def current_sets(conn: Connection, bucket: str, keys: Collection[str]) -> dict[str, KnownSet]:
    """Return the current slides of several files among those keys."""
    current = (slide.c.state == SlideState.CURRENT.value, slide.c.manifest_digest.is_not(None))
    keys_of = select(func.array_agg(slide_file.c.key)).where(slide_file.c.slide_id == slide.c.id).scalar_subquery()
    wanted = select(slide, keys_of.label("file_keys")).where(slide.c.bucket == bucket, slide.c.key.in_(keys), *current)
    return {
        row.key: KnownSet(
            manifest=row.manifest_digest, obj=steps.stored_object(row), file_keys=frozenset(row.file_keys or ())
        )
        for row in conn.execute(wanted)
    }


def register_set(
    conn: Connection, found: FoundSet, facts: SlideFacts, defaults: LabDefaults, decide: Decide
) -> tuple[StoredObject, int | None]:
    """Make the files the current slide of their key, or note that some are still to come.

    Returns the slide's object and the run that became due by it, if one did. What else stood under the key, or
    stood for one of the files alone, is superseded. Calling again is harmless. Belongs in one transaction of its own.
    Raises NotAllowedError when no model version is active.
    """
    obj = found.obj
    conn.execute(register.LOCK_KEY, {"bucket": obj.bucket, "key": obj.key})
    known = _known(conn, found)
    touched = register.supersede_others(conn, obj, keep=known.id if known else None) | _absorb(conn, found)
    if known is not None and known.state == SlideState.CURRENT:
        run_id = register.seen_again(conn, known, obj, decide)
        _store_files(conn, known.id, found)
    else:
        row = _noted(conn, known, found, facts, defaults)
        touched |= {row.patient_id} | ({known.patient_id} if known else set())
        run_id = _completed(conn, row, found, defaults) if found.complete or _quiet(conn, row, known, found) else None
        known = row
    patients.recompute_all(conn, touched, decide)
    return steps.stored_object(known), run_id


def _known(conn: Connection, found: FoundSet) -> Row[Any] | None:
    """Return the row that the files belong to: one with this manifest, or the one that waits for more files."""
    same_key = (slide.c.bucket == found.obj.bucket, slide.c.key == found.obj.key)
    rows = conn.execute(select(slide).where(*same_key).order_by(slide.c.id.desc()).with_for_update()).all()
    was_complete = set(
        conn.execute(select(slide_file.c.slide_id).where(slide_file.c.slide_id.in_([row.id for row in rows]))).scalars()
    )
    same = [row for row in rows if row.manifest_digest == found.manifest]
    for row in same:
        if row.state not in _GONE or row.id in was_complete:
            return row
    return next((row for row in rows if row.state == SlideState.INCOMPLETE), None)


def _noted(
    conn: Connection, known: Row[Any] | None, found: FoundSet, facts: SlideFacts, defaults: LabDefaults
) -> Row[Any]:
    """Insert the slide as incomplete, or bring the incomplete one up to date; one that was complete stays."""
    if known is not None and known.state in _GONE:
        return known
    values = register.slide_values(conn, found.obj, facts, defaults) | {"manifest_digest": found.manifest}
    if known is None:
        state = {"state": SlideState.INCOMPLETE.value, "etag": _unused_etag(conn, found)}
        return conn.execute(insert(slide).values(values | state).returning(*slide.c)).one()
    for identity in ("bucket", "key", "version_id", "etag"):
        del values[identity]
    if known.manifest_digest != found.manifest:
        values["seen_at"] = func.now()
    return conn.execute(update(slide).where(slide.c.id == known.id).values(values).returning(*slide.c)).one()


def _quiet(conn: Connection, row: Row[Any], known: Row[Any] | None, found: FoundSet) -> bool:
    """Tell whether an incomplete slide was seen like this before, long enough ago."""
    if found.quiet_s is None or known is None or known.manifest_digest != found.manifest:
        return False
    waited = select(slide.c.seen_at + steps.in_seconds(found.quiet_s) <= func.now()).where(slide.c.id == row.id)
    return bool(conn.execute(waited).scalar_one())


def _completed(conn: Connection, row: Row[Any], found: FoundSet, defaults: LabDefaults) -> int | None:
    """Make the slide current with its files; return the run that became due by it."""
    if row.state in _GONE:
        run_id = register.bring_back(conn, row, found.obj)
    else:
        register.set_state(conn, row.id, SlideState.CURRENT, seen_at=func.now())
        run_id = register.insert_run(conn, row.id, register.active_model_id(conn), defaults.max_attempts)
    _store_files(conn, row.id, found)
    return run_id


def _store_files(conn: Connection, slide_id: int, found: FoundSet) -> None:
    """Store which files make up the slide; where they are known already, their newest versions."""
    rows = [
        {
            "slide_id": slide_id,
            "key": file.key,
            "version_id": file.version_id,
            "etag": file.etag,
            "size_bytes": file.size,
        }
        for file in found.files
    ]
    new = insert(slide_file).values(rows)
    conn.execute(new.on_conflict_do_update(constraint="pk_slide_file", set_={"version_id": new.excluded.version_id}))


def _absorb(conn: Connection, found: FoundSet) -> set[int]:
    """Supersede slides that stand for one of the files alone: it came before the index that names it."""
    keys = [file.key for file in found.files if file.key != found.obj.key]
    return register.supersede(conn, slide.c.bucket == found.obj.bucket, slide.c.key.in_(keys)) if keys else set()


def _unused_etag(conn: Connection, found: FoundSet) -> str:
    """Return the manifest, hashed again while an older slide of the key began with the same files."""
    same_key = (slide.c.bucket == found.obj.bucket, slide.c.key == found.obj.key)
    used = set(conn.execute(select(slide.c.etag).where(*same_key)).scalars())
    etag = found.manifest
    while etag in used:
        etag = hashlib.sha256(etag.encode()).hexdigest()
    return etag
