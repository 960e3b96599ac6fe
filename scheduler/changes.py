"""What a listing shows of one slide, and what one comparison remembers for the next."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from db.records import StoredObject
from scheduler.rounds import Rounds
from scheduler.set_listing import ListedSet
from worker.key_range import KeyRange

T = TypeVar("T")

_MOST_REMEMBERED = 100_000
_LONGEST_WAIT_S = 600.0
"""An incomplete set is looked at again after this time, changed or not: its index may name files of unusual kinds."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a refusal rests on."""

    etag: str
    sidecar_etag: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one page shows of one slide: the object, its sidecar, or both."""

    key: str
    listed: StoredObject | None
    sidecar: StoredObject | None
    of_set: str = ""  # of a set that is not known whole: its fingerprint

    @property
    def modified(self) -> datetime:
        """The later time of change of the two."""
        return max(one.last_modified for one in (self.listed, self.sidecar) if one is not None)

    def fingerprint(self, before: Refusal | None) -> Refusal:
        """Return what a refusal of it rests on; an object that is not on the page is taken to be as before."""
        etag = self.listed.etag if self.listed else before.etag if before else ""
        return Refusal(etag=etag, sidecar_etag=self.sidecar.etag if self.sidecar else "")


@dataclass
class Memory:
    """What one comparison leaves for the next; losing it costs time and a repeated log line, nothing else."""

    refused: OrderedDict[str, Refusal] = field(default_factory=OrderedDict)
    absent: dict[KeyRange, frozenset[int]] = field(default_factory=dict)  # slides whose object was not there last time
    rounds: Rounds = field(default_factory=Rounds)
    waiting: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)
    """Sets that only a change can complete, by key: their fingerprint, and when it was looked at (monotonic)."""

    def waits(self, one: ListedSet) -> bool:
        """Tell whether a set was incomplete just like this, not too long ago."""
        fingerprint, looked_at = self.waiting.get(one.key, ("", 0.0))
        return fingerprint == one.fingerprint() and time.monotonic() - looked_at < _LONGEST_WAIT_S

    def taken_in(self, change: Change, *, waits: bool) -> None:
        """Note that an object is registered, and whether it is a set that waits for a change."""
        self.refused.pop(change.key, None)
        self.waiting.pop(change.key, None)
        if waits:
            _note(self.waiting, change.key, (change.of_set, time.monotonic()))

    def refuse(self, key: str, refusal: Refusal) -> None:
        """Note that an object was refused like this."""
        _note(self.refused, key, refusal)


def _note(notes: OrderedDict[str, T], key: str, what: T) -> None:
    """Note something of a key; the oldest notes make room."""
    notes[key] = what
    while len(notes) > _MOST_REMEMBERED:
        notes.popitem(last=False)
