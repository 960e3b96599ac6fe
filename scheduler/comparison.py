"""One comparison of the bucket, or of a range of its keys, with the database.

Memory stays bounded: the range is compared page by page. Of each key eight bytes are kept until the end of the range;
of the folders that are open in it, the files that may make up one slide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from db import runs
from db.facts import current_by_key
from db.records import StoredObject
from db.session import transact
from db.slide_files import current_sets
from scheduler.changes import Change, Memory, Refusal
from scheduler.failures import OF_ONE_OBJECT, Failures, name_in_logs
from scheduler.intake import RefusedError, fault_of_key, is_slide_key, slide_of_sidecar
from scheduler.registration import PATIENCE_S, Door, take_in
from scheduler.seen_keys import SeenKeys
from scheduler.set_intake import as_one, is_there
from scheduler.set_listing import Item, ListedSet, gathered, paged
from worker.errors import ServiceError
from worker.key_range import KeyRange

T = TypeVar("T")

log = structlog.get_logger(__name__)

_MOST_ABSENT = 10_000
_ANNOUNCE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class ListingReport:
    """What one comparison found."""

    listed: int  # objects that are meant to be slides
    new: tuple[int, ...]  # runs that became due
    refused: tuple[tuple[str, str], ...]  # key and reason, of objects not refused like this before
    missing: tuple[int, ...]  # slides whose object is gone
    failed: int  # objects that could not be taken in, or asked for, this time


class Comparison:
    """One pass over the bucket, or over a range of its keys."""

    def __init__(self, door: Door, memory: Memory, announce: Callable[[], None], keys: KeyRange) -> None:
        self._door = door
        self._keys = keys
        self._memory = memory
        self._announce = announce
        self._announced_at = 0.0
        self._seen = SeenKeys()
        self._new: list[int] = []
        self._refused: list[tuple[str, str]] = []
        self._failures = Failures(door)

    def run(self, stopping: Callable[[], bool]) -> ListingReport:
        """Compare everything; end early, and take nothing to be missing, once `stopping` is true."""
        store = self._door.store
        for page in paged(gathered(self._memory.rounds.seen(self._keys, store), store.prefix)):
            for change in self.changes(page):
                if stopping():
                    return self.report()
                self.take_in(change)
        return self.report(missing=self.missing())

    def changes(self, page: list[Item]) -> Iterator[Change]:
        """Yield what the page shows to be new or changed: first of slides that are one file, then of sets."""
        slides, sidecars = self._sort([item for item in page if isinstance(item, StoredObject)])
        self._seen.add(slides)
        keys = [*slides, *(key for key in sidecars if key not in slides)]
        bucket = self._door.store.name
        known = self._transact(lambda conn: current_by_key(conn, bucket, keys)) if keys else {}
        for key in keys:
            change = Change(key=key, listed=slides.get(key), sidecar=sidecars.get(key))
            if not self._settled(change, known.get(key)):
                yield change
        yield from self._changed_sets([item for item in page if isinstance(item, ListedSet)])

    def _changed_sets(self, sets: list[ListedSet]) -> Iterator[Change]:
        """Yield the sets that are new or changed, and those that time may have completed since the last look."""
        sets = [one for one in sets if not self._refused_key(one)]
        self._seen.add(one.key for one in sets)
        keys, bucket = [one.key for one in sets], self._door.store.name
        known = self._transact(lambda conn: current_sets(conn, bucket, keys)) if keys else {}
        for one in sets:
            there = known.get(one.key)
            if there is None and self._memory.waits(one):
                continue
            files = one.own_files(there.file_keys if there else frozenset())
            of_set = "" if there else one.fingerprint()
            change = Change(key=one.key, listed=as_one(one.key, files), sidecar=one.sidecar, of_set=of_set)
            if not self._settled(change, replace(there.obj, etag=there.manifest) if there else None):
                yield change

    def _refused_key(self, one: ListedSet) -> bool:
        """Refuse a set whose key no row can hold; tell whether it is one."""
        fault = fault_of_key(one.key)
        if fault is not None:
            change = Change(key=one.key, listed=one.index or one.others[0], sidecar=None)
            if not self._settled(change, None):
                self._refuse(RefusedError(one.key, fault), change.fingerprint(None))
        return fault is not None

    def take_in(self, change: Change) -> None:
        """Register the object, or note why not; raises only when nothing could be registered now."""
        try:
            taken = take_in(self._door, change.key, modified=change.modified)
        except RefusedError as refused:
            self._refuse(refused, change.fingerprint(self._memory.refused.get(change.key)))
        except OF_ONE_OBJECT as error:
            self._failures.note(change.key, error)
            return
        else:
            self._memory.taken_in(change, waits=taken.waits)
            if taken.run_id is not None:
                self._due(taken.run_id)
        self._failures.interrupted()

    def missing(self) -> tuple[int, ...]:
        """Mark and return the slides whose object was gone the last time and still is."""
        unseen = self._transact(self._unseen)
        gone = {slide_id: key for slide_id, key in unseen if self._is_gone(key)}
        before = self._memory.absent.get(self._keys, frozenset())
        missing = tuple(slide_id for slide_id in gone if slide_id in before)
        for slide_id in missing:
            self._mark(slide_id)
            self._memory.waiting.pop(gone[slide_id], None)
        self._memory.absent[self._keys] = frozenset(gone).difference(missing)
        return missing

    def _is_gone(self, key: str) -> bool:
        try:
            gone = not is_there(self._door.store, key)
        except ServiceError as error:
            self._failures.note(key, error)
            return False
        self._failures.interrupted()
        return gone

    def report(self, *, missing: tuple[int, ...] = ()) -> ListingReport:
        """Return what was found so far."""
        if self._new:
            self._announce()
        return ListingReport(
            listed=len(self._seen),
            new=tuple(self._new),
            refused=tuple(self._refused),
            missing=missing,
            failed=self._failures.count,
        )

    def _sort(self, page: list[StoredObject]) -> tuple[dict[str, StoredObject], dict[str, StoredObject]]:
        """Return the slides by key, and the sidecars by their slide's key."""
        prefix = self._door.store.prefix
        slides: dict[str, StoredObject] = {}
        sidecars: dict[str, StoredObject] = {}
        for obj in page:
            described = slide_of_sidecar(obj.key, prefix)
            if described is not None and not fault_of_key(obj.key):
                sidecars[described] = obj
            elif is_slide_key(obj.key, prefix):
                fault = fault_of_key(obj.key)
                if fault is None:
                    slides[obj.key] = obj
                elif not self._settled(change := Change(key=obj.key, listed=obj, sidecar=None), None):
                    self._refuse(RefusedError(obj.key, fault), change.fingerprint(None))
        return slides, sidecars

    def _settled(self, change: Change, known: StoredObject | None) -> bool:
        """Tell whether nothing new is to be learnt."""
        refusal = self._memory.refused.get(change.key)
        if refusal is not None and refusal == change.fingerprint(refusal):
            return True
        listed = change.listed
        if known is None:
            return listed is None and refusal is None  # a sidecar that came before its slide
        if listed is not None and (listed.etag, listed.size) != (known.etag, known.size):
            return False
        sidecar_is_old = change.sidecar is None or change.sidecar.last_modified < known.last_modified
        as_old = sidecar_is_old and (listed is None or listed.last_modified <= known.last_modified)
        return as_old and refusal is None  # what was refused is not there any more: the lab is to be told

    def _due(self, run_id: int) -> None:
        log.info("registered", run_id=run_id)
        self._new.append(run_id)
        if time.monotonic() - self._announced_at >= _ANNOUNCE_S:
            self._announce()
            self._announced_at = time.monotonic()

    def _refuse(self, refused: RefusedError, refusal: Refusal) -> None:
        self._refused.append((refused.key, refused.reason))
        log.warning("refused", object=name_in_logs(refused.key), reason=refused.reason)
        self._memory.refuse(refused.key, refusal)

    def _mark(self, slide_id: int) -> None:
        self._transact(lambda conn: runs.mark_missing(conn, slide_id, self._door.decide))
        log.warning("missing", slide_id=slide_id)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        return transact(self._door.engine, work, patience_s=PATIENCE_S)

    def _unseen(self, conn: Connection) -> list[tuple[int, str]]:
        """Return current slides whose key the listing did not have; the rest of very many waits for the next time."""
        was_seen = self._seen.lookup()
        unseen: list[tuple[int, str]] = []
        store, keys = self._door.store, self._keys
        for slide_id, obj in runs.current_slides(conn, store.name, store.prefix, after=keys.after, last=keys.last):
            if len(unseen) < _MOST_ABSENT and not was_seen(obj.key):
                unseen.append((slide_id, obj.key))
        return unseen
