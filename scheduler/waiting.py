"""Waits for slides to be read, and says how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from db.progress import ObjectProgress, progress
from db.records import RunState, StoredObject
from db.session import transact
from scheduler.config import SchedulerSettings
from scheduler.intake import RefusedError, facts_of
from scheduler.registration import sidecar_of
from scheduler.set_intake import look_up
from worker.slide_sets import set_kind
from worker.storage import ObjectStore

_POLL_S = 0.3
_PATIENCE_S = 600.0
"""How long an unreachable database is waited for: its supervisor brings it back."""
_UNSEEN_S = 10.0
"""An object that several listings should have shown by now is asked for."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far all of the slides together are."""

    slides: int
    done: int
    quarantined: int
    tiles: int
    tiles_read: int
    tiles_expected: float  # those of slides not yet planned are guessed from the others
    cells: int
    unseen: int  # objects that the scheduler has not registered
    retrying: tuple[str, ...]  # why runs wait for another try

    @property
    def ended(self) -> int:
        """Slides to which nothing more happens."""
        return self.done + self.quarantined

    @property
    def share(self) -> float:
        """How much of the work is done, 0..1."""
        if self.ended == self.slides:
            return 1.0
        return min(0.999, self.tiles_read / self.tiles_expected) if self.tiles_expected else 0.0


def wait_for(
    engine: Engine, objects: Sequence[StoredObject], tell: Callable[[Standing], None], *, store: ObjectStore
) -> list[ObjectProgress]:
    """Return how the slides ended, once all of them have; `tell` is called with every look.

    An object that no slide comes of ends as cancelled, with the reason: replaced or removed meanwhile, or refused.
    Raises ServiceError when the store, asked why, does not answer.
    """
    unseen = _Unseen(store)
    while True:
        known = transact(engine, lambda conn: progress(conn, objects), patience_s=_PATIENCE_S)
        found = [unseen.explained(obj, one) for obj, one in zip(objects, known, strict=True)]
        tell(standing(found))
        if all(one.ended for one in found):
            return found
        time.sleep(_POLL_S)


class _Unseen:
    """Objects that are no current slide: why not is asked again and again, as the scheduler may just be slow."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._asked_at: dict[str, float] = {}
        self._why: dict[str, tuple[str, str] | None] = {}

    def explained(self, obj: StoredObject, one: ObjectProgress) -> ObjectProgress:
        """Return how far the object is, with the reason where it will get no further."""
        if one.state is not None:
            self._asked_at.pop(obj.key, None)
            self._why.pop(obj.key, None)
            return one
        now = time.monotonic()
        if now - self._asked_at.setdefault(obj.key, now) >= _UNSEEN_S:
            self._asked_at[obj.key] = now
            self._why[obj.key] = _why_no_slide(self._store, obj)
        why = self._why.get(obj.key)
        return one if why is None else replace(one, state=RunState.CANCELLED, error_code=why[0], error_cause=why[1])


def _why_no_slide(store: ObjectStore, obj: StoredObject) -> tuple[str, str] | None:
    """Return code and cause, None when the object is there and can become a slide."""
    found = look_up(store, obj.key, quiet_s=0) if set_kind(obj.key) else None
    there = found.obj if found else store.head(obj.key)
    if there is None:
        return "missing", "the object is gone from the bucket"
    if there.etag != obj.etag:
        return "superseded", "another object stands under its key"
    try:
        facts_of(obj.key, sidecar_of(store, obj.key), SchedulerSettings(), prefix=store.prefix)
    except RefusedError as error:
        return "refused", error.reason
    return None


def standing(found: Sequence[ObjectProgress]) -> Standing:
    """Sum up how far single slides are."""
    planned = [one for one in found if one.tiles is not None]
    tiles = sum(one.tiles or 0 for one in planned)
    open_unplanned = sum(1 for one in found if one.tiles is None and not one.ended)
    guess = tiles / len(planned) if planned else 0.0
    quarantined = sum(1 for one in found if one.state in (RunState.QUARANTINED, RunState.CANCELLED))
    return Standing(
        slides=len(found),
        done=sum(1 for one in found if one.state == RunState.DONE),
        quarantined=quarantined,
        tiles=tiles,
        tiles_read=sum(one.tiles_read or 0 for one in planned),
        tiles_expected=tiles + guess * open_unplanned,
        cells=sum(one.cells for one in found),
        unseen=sum(1 for one in found if one.state is None),
        retrying=tuple(
            sorted(
                {
                    one.error_cause or one.error_code or "its worker stopped"
                    for one in found
                    if one.state == RunState.RETRY_WAIT
                }
            )
        ),
    )
