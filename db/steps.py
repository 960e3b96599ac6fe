"""What every change of a run's state goes through."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Interval, Row, func, literal, null, select, update

from db.errors import FencedError, NotFoundError
from db.records import Claim, RunState, StoredObject
from db.run_tables import run
from db.tables import slide, slide_file

OPEN = (RunState.PENDING.value, RunState.RUNNING.value, RunState.RETRY_WAIT.value)
_NO_LEASE = {"lease_owner": None, "lease_until": None}
NO_ERROR = {"error_code": None, "error_cause": None, "error_remedy": None}


def step(conn: Connection, run_id: int, to: RunState, *, actor: str, reason: str, **values: Any) -> None:
    """Move a run that the caller has locked to another state than running; the trigger logs or refuses it."""
    changes = _NO_LEASE | {"state": to.value, "changed_by": actor, "change_reason": reason} | values
    conn.execute(update(run).where(run.c.id == run_id).values(changes))


def quarantine(conn: Connection, run_id: int, *, actor: str, code: str, cause: str, remedy: str, **values: Any) -> None:
    """Put a locked run into quarantine; the caller recomputes the patient's verdict."""
    error = {"error_code": code, "error_cause": cause, "error_remedy": remedy}
    step(conn, run_id, RunState.QUARANTINED, actor=actor, reason=f"{code}: {cause}", **error, **values)


def to_pending(conn: Connection, run_id: int, *, actor: str, reason: str) -> None:
    """Make a locked run due again with all its attempts; `attempt` itself never goes back."""
    fresh = {"releases": run.c.attempt, "next_at": func.now(), "finished_at": None, "n_read": None, "stop": null()}
    step(conn, run_id, RunState.PENDING, actor=actor, reason=reason, **fresh, **NO_ERROR)


def locked(conn: Connection, run_id: int) -> Row[Any]:
    """Lock a run and return its row. Raises NotFoundError."""
    row = conn.execute(select(run).where(run.c.id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError(f"no run {run_id}")
    return row


def held(conn: Connection, claim: Claim, *, ended: Collection[RunState] = ()) -> Row[Any]:
    """Lock the claim's run and return its row, if the claim may still write.

    `ended`: states that the claim itself may have reached before, in a transaction whose answer was lost.
    Raises FencedError when another worker, or an end of the run, has taken the right away.
    """
    row = locked(conn, claim.run_id)
    if row.fence != claim.fence or row.state not in (RunState.RUNNING, *ended):
        raise FencedError(f"run {claim.run_id}: fence {claim.fence} is over (now {row.fence}, {row.state})")
    return row


def patient_of(conn: Connection, run_id: int) -> int:
    """Return the patient that the run's slide belongs to now; ask after locking the run."""
    owner = select(slide.c.patient_id).join(run, run.c.slide_id == slide.c.id).where(run.c.id == run_id)
    return int(conn.execute(owner).scalar_one())


def stored_object(row: Row[Any]) -> StoredObject:
    """Return the object that a row with the columns of `slide` describes."""
    return StoredObject(
        bucket=row.bucket,
        key=row.key,
        version_id=row.version_id,
        etag=row.etag,
        size=row.size_bytes,
        last_modified=row.last_modified,
    )


def files_of(conn: Connection, row: Row[Any]) -> tuple[StoredObject, ...]:
    """Return the files of the slide in a row with the columns of `slide`; none for a slide that is one object."""
    found = conn.execute(select(slide_file).where(slide_file.c.slide_id == row.id).order_by(slide_file.c.key))
    return tuple(
        StoredObject(
            bucket=row.bucket,
            key=file.key,
            version_id=file.version_id,
            etag=file.etag,
            size=file.size_bytes,
            last_modified=row.last_modified,
        )
        for file in found
    )


def in_seconds(seconds: float) -> ColumnElement[timedelta]:
    """Return a span of time, to be added to the database's clock."""
    return literal(timedelta(seconds=seconds), Interval)


def due_now(conn: Connection, run_id: int) -> None:
    """End a locked run's waiting time."""
    conn.execute(update(run).where(run.c.id == run_id).values(next_at=func.now()))
