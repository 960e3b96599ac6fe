"""Goes round a large bucket in parts: what broke off goes on where it was, and one bad part keeps no other waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from db.records import StoredObject
from worker.key_range import KeyRange
from worker.storage import ObjectStore

MOST_RANGES = 64
OBJECTS_A_RANGE = 20_000
"""A bucket with fewer is listed in one go: each range costs a question of its own."""


@dataclass
class Rounds:
    """How far the present round is; losing it costs time, nothing else."""

    _most: int = MOST_RANGES
    _finished: set[KeyRange] = field(default_factory=set)
    _begun: KeyRange | None = None  # and not finished: something broke it off
    _objects: int = 0

    def due(self, store: ObjectStore) -> list[KeyRange]:
        """Return the ranges that this round has still to see, the one that broke off last; when none is, a new round's.

        Raises ServiceError.
        """
        left = [keys for keys in store.ranges(self._most) if keys not in self._finished]
        if not left or left == [self._begun]:
            self._most = min(MOST_RANGES, 1 + self._objects // OBJECTS_A_RANGE) if not left else self._most
            self._finished.clear()
            self._objects = 0
            left = list(store.ranges(self._most))
        return sorted(left, key=lambda keys: keys == self._begun)

    def seen(self, keys: KeyRange, store: ObjectStore) -> Iterator[StoredObject]:
        """Yield the objects of a range, counted."""
        self._begun = keys
        return self._counted(store.list_range(keys))

    def finish(self, keys: KeyRange) -> None:
        """Note that a range has been seen to its end."""
        self._begun = None
        self._finished.add(keys)

    def _counted(self, objects: Iterable[StoredObject]) -> Iterator[StoredObject]:
        for obj in objects:
            self._objects += 1
            yield obj
