"""The inbox of events: written by whatever hears of objects, emptied by the scheduler. Each call needs a transaction.

It is not the truth, only a list of places that are worth a look: losing all of it costs the time until the next
listing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.hints import Hint, HintOutcome, WaitingHint, is_later
from db.steps import in_seconds
from db.tables import event_inbox

KEPT = timedelta(days=30)
_SAME_EVENT_S = 600.0
"""A repeat within this time is another delivery of the same event; a later one is worth a look of its own."""
_IS_FULL = text("SELECT EXISTS (SELECT FROM event_inbox WHERE handled_at IS NULL OFFSET :most)")
# Hints in the hand of a scheduler that dies come up again when `hold_s` is over; looking twice is harmless.
# Materialized, as a plan may run a subquery once per row: each time it would lock and take other rows.
_TAKE = text(
    """
    WITH due AS MATERIALIZED (
      SELECT id FROM event_inbox WHERE handled_at IS NULL AND due_at <= now() AND bucket = :bucket
       ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE event_inbox AS hint
       SET tries = hint.tries + 1, due_at = now() + make_interval(secs => :hold_s * (hint.tries + 1))
      FROM due WHERE hint.id = due.id
    RETURNING hint.id, hint.key, hint.sequencer, hint.tries
    """
)


def note(conn: Connection, source: str, hints: Iterable[Hint]) -> int:
    """Put hints into the inbox; return how many are new. Further deliveries of an event change nothing."""
    rows = {
        hint.msg_id: {
            "source": source,
            "msg_id": hint.msg_id,
            "bucket": hint.bucket,
            "key": hint.key,
            "event": hint.event,
            "version_id": hint.version_id,
            "sequencer": hint.sequencer,
        }
        for hint in hints
    }
    if not rows:
        return 0
    noted = insert(event_inbox).values([rows[msg_id] for msg_id in sorted(rows)])  # sorted: two writers never deadlock
    afresh = {"received_at": func.now(), "due_at": func.now(), "handled_at": None, "outcome": None, "tries": 0}
    noted = noted.on_conflict_do_update(
        constraint="uq_event_inbox_source_msg_id",
        set_=afresh,
        where=event_inbox.c.handled_at < func.now() - in_seconds(_SAME_EVENT_S),
    )
    return len(conn.execute(noted.returning(event_inbox.c.id)).all())


def is_full(conn: Connection, most: int) -> bool:
    """Tell whether more than `most` hints wait for their turn."""
    return bool(conn.execute(_IS_FULL, {"most": most}).scalar_one())


def take(conn: Connection, bucket: str, *, limit: int, hold_s: float) -> list[WaitingHint]:
    """Return hints of the bucket whose turn has come, oldest first; each comes again when nobody settles it.

    hold_s: after how long at first; with every further try it lasts that much longer.
    """
    rows = conn.execute(_TAKE, {"bucket": bucket, "limit": limit, "hold_s": hold_s})
    return sorted((WaitingHint(**row._mapping) for row in rows), key=lambda hint: hint.id)


def looked_at(conn: Connection, bucket: str, keys: Collection[str]) -> dict[str, str]:
    """Return by key the latest sequencer after which the bucket was asked."""
    known = select(event_inbox.c.key, event_inbox.c.sequencer).where(
        event_inbox.c.bucket == bucket,
        event_inbox.c.key.in_(keys),
        event_inbox.c.outcome == HintOutcome.LOOKED.value,
        event_inbox.c.sequencer != "",
    )
    latest: dict[str, str] = {}
    for key, sequencer in conn.execute(known):
        if key not in latest or is_later(sequencer, latest[key]):
            latest[key] = sequencer
    return latest


def settle(conn: Connection, hint_ids: Collection[int], outcome: HintOutcome) -> None:
    """Note what came of hints; those that were settled meanwhile stay so."""
    waiting = (event_inbox.c.id.in_(hint_ids), event_inbox.c.handled_at.is_(None))
    conn.execute(update(event_inbox).where(*waiting).values(handled_at=func.now(), outcome=outcome.value))


def forget(conn: Connection, older: timedelta = KEPT) -> int:
    """Delete the hints that came longer ago, settled or not; return how many."""
    old = delete(event_inbox).where(event_inbox.c.received_at < func.now() - in_seconds(older.total_seconds()))
    return conn.execute(old).rowcount
