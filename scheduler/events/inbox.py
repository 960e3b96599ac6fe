"""Empties the inbox: asks the bucket about every object that an event spoke of, and registers what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from db import inbox
from db.hints import HintOutcome, WaitingHint, is_later
from db.session import transact
from scheduler.events.targets import slides_of
from scheduler.failures import OF_ONE_OBJECT, Failures, name_in_logs
from scheduler.intake import RefusedError
from scheduler.registration import PATIENCE_S, Door, take_in

T = TypeVar("T")

log = structlog.get_logger(__name__)

_AT_ONCE = 100
_HOLD_S = 60.0
_MOST_TRIES = 5
_FORGET_EVERY_S = 3600.0
_Answer = HintOutcome | None  # None: nobody knows yet, so it is tried again


class Inbox:
    """The inbox as a source: whoever fills it, this is where hints become slides."""

    name = "inbox"
    every_s = 1.0

    def __init__(self, door: Door, *, announce: Callable[[], None], stopping: Callable[[], bool]) -> None:
        self._door = door
        self._announce = announce
        self._stopping = stopping
        self._forget_at = 0.0

    def poll(self) -> int:
        """See EventSource.poll."""
        self._forget()
        due = 0
        while not self._stopping() and (hints := self._taken()):
            due += self._look(hints)
        return due

    def _taken(self) -> list[WaitingHint]:
        bucket = self._door.store.name
        return self._transact(lambda conn: inbox.take(conn, bucket, limit=_AT_ONCE, hold_s=_HOLD_S))

    def _look(self, hints: Sequence[WaitingHint]) -> int:
        """Look once at each slide that the hints lead to and settle them; return how many runs became due."""
        looks = _Looks(self._door)
        late = self._overtaken(hints)
        answers: dict[str, list[_Answer]] = {}
        try:
            for hint in hints:
                if hint.key not in answers and hint not in late:
                    answers[hint.key] = [looks.at(slide) for slide in slides_of(hint.key, self._door.store.prefix)]
        finally:
            self._settle([hint for hint in hints if hint not in late], answers)
            self._transact(lambda conn: inbox.settle(conn, [hint.id for hint in late], HintOutcome.OVERTAKEN))
            if looks.due:
                self._announce()
        return looks.due

    def _overtaken(self, hints: Sequence[WaitingHint]) -> set[WaitingHint]:
        """Return the hints of events before one after which the bucket was asked already."""
        keys = {hint.key for hint in hints if hint.sequencer}
        bucket = self._door.store.name
        latest = self._transact(lambda conn: inbox.looked_at(conn, bucket, keys)) if keys else {}
        return {hint for hint in hints if is_later(latest.get(hint.key, ""), hint.sequencer)}

    def _settle(self, hints: Sequence[WaitingHint], answers: dict[str, list[_Answer]]) -> None:
        by_outcome: dict[HintOutcome, list[int]] = {}
        for hint in hints:
            outcome = _outcome(answers.get(hint.key, [None]))
            if outcome is None and hint.tries >= _MOST_TRIES:
                outcome = HintOutcome.FAILED
                log.warning("left to the listing", object=name_in_logs(hint.key), tries=hint.tries)
            if outcome is not None:
                by_outcome.setdefault(outcome, []).append(hint.id)

        def work(conn: Connection) -> None:
            for outcome, ids in by_outcome.items():
                inbox.settle(conn, ids, outcome)

        self._transact(work)

    def _forget(self) -> None:
        if time.monotonic() < self._forget_at:
            return
        forgotten = self._transact(inbox.forget)
        self._forget_at = time.monotonic() + _FORGET_EVERY_S
        if forgotten:
            log.info("old events forgotten", events=forgotten)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        return transact(self._door.engine, work, patience_s=PATIENCE_S)


class _Looks:
    """The looks that one batch of hints leads to; a slide is looked at once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._failures = Failures(door)
        self._known: dict[str, _Answer] = {}
        self.due = 0

    def at(self, slide: str) -> _Answer:
        """Ask the bucket and register what it says. Raises what tells that the bucket or Postgres is away."""
        if slide not in self._known:
            self._known[slide] = self._asked(slide)
        return self._known[slide]

    def _asked(self, slide: str) -> _Answer:
        outcome = HintOutcome.LOOKED
        try:
            taken = take_in(self._door, slide)
        except RefusedError as refused:
            log.warning("refused", object=name_in_logs(slide), reason=refused.reason)
            outcome = HintOutcome.REFUSED
        except OF_ONE_OBJECT as error:
            self._failures.note(slide, error)
            return None
        else:
            if taken.run_id is not None:
                log.info("registered", run_id=taken.run_id)
                self.due += 1
        self._failures.interrupted()
        return outcome


def _outcome(answers: Sequence[_Answer]) -> _Answer:
    """Return what the looks of one hint come to: nothing as long as one of them is still to be made."""
    if None in answers:
        return None
    return HintOutcome.REFUSED if HintOutcome.REFUSED in answers else HintOutcome.LOOKED
