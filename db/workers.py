"""Which workers live: known from what they write, never from the broker."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db.run_tables import worker
from db.session import transact
from db.steps import in_seconds


def seen(engine: Engine, worker_id: str, host: str, device: str) -> None:
    """Note that a worker lives. Raises UnavailableError."""
    note = insert(worker).values(id=worker_id, host=host, device=device)
    note = note.on_conflict_do_update(
        constraint=worker.primary_key, set_={"host": host, "device": device, "seen_at": func.now()}
    )
    transact(engine, lambda conn: conn.execute(note), patience_s=5)


def attempted(engine: Engine, worker_id: str) -> None:
    """Note that a known worker tries to claim a run: it hears the doorbell. Raises UnavailableError."""
    note = update(worker).where(worker.c.id == worker_id)
    note = note.values(seen_at=func.now(), last_claim_attempt_at=func.now())
    transact(engine, lambda conn: conn.execute(note), patience_s=5)


def live(conn: Connection, within_s: float = 60) -> int:
    """Return how many workers were seen within so many seconds."""
    recent = worker.c.seen_at > func.now() - in_seconds(within_s)
    return conn.execute(select(func.count()).select_from(worker).where(recent)).scalar_one()


def forget(conn: Connection, silent_s: float = 86_400) -> None:
    """Delete the workers that were last seen longer ago: each child process is a worker of its own."""
    conn.execute(delete(worker).where(worker.c.seen_at < func.now() - in_seconds(silent_s)))
