"""The scheduler's sweep and a person's decisions about single runs."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select, text

from db import patients, steps, tallies
from db.counts import Decide
from db.errors import NotAllowedError
from db.records import RunState, SlideState
from db.tables import slide

_SWEEP_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('marrowline sweep', 2))")
# The active model's runs come first: reading the archive with another one keeps no new slide waiting. Of these the
# urgent ones come first; among equals a lab's turn comes later the more of its runs are being read or rung already.
_DUE = text(
    """
    WITH busy AS (
      SELECT patient.lab_id, count(*) AS n
        FROM run JOIN slide ON slide.id = run.slide_id JOIN patient ON patient.id = slide.patient_id
       WHERE run.id = ANY (:exclude) OR run.state = 'running' AND run.lease_until >= now()
       GROUP BY patient.lab_id
    ), due AS (
      SELECT run.id, patient.lab_id, run.created_at, active.only_row IS NULL AS beside, slide.urgent,
             row_number() OVER (PARTITION BY patient.lab_id, active.only_row, slide.urgent
                                    ORDER BY run.created_at, run.id) AS place
        FROM run JOIN slide ON slide.id = run.slide_id JOIN patient ON patient.id = slide.patient_id
        LEFT JOIN active_model AS active ON active.model_version_id = run.model_version_id
       WHERE slide.state = 'current' AND run.attempt - run.releases < run.max_attempts
         AND (run.state IN ('pending', 'retry_wait') AND run.next_at <= now()
              OR run.state = 'running' AND run.lease_until < now())
         AND run.id <> ALL (:exclude)
    )
    SELECT due.id FROM due LEFT JOIN busy USING (lab_id)
     ORDER BY due.beside, due.urgent DESC, due.place + coalesce(busy.n, 0), due.created_at, due.id LIMIT :limit
    """
)
_URGENT = text(
    """
    SELECT run.id FROM run JOIN slide ON slide.id = run.slide_id
      JOIN active_model ON active_model.model_version_id = run.model_version_id
     WHERE run.id = ANY (:runs) AND slide.urgent
    """
)
_SPENT = text(
    """
    SELECT id, lease_owner, attempt, max_attempts, state FROM run
     WHERE attempt - releases >= max_attempts
       AND (state = 'running' AND lease_until < now() OR state = 'retry_wait')
     ORDER BY id FOR UPDATE SKIP LOCKED
    """
)


def sweep_lock(conn: Connection) -> bool:
    """Take the right to sweep until this transaction ends; False: another scheduler is at it."""
    return bool(conn.execute(_SWEEP_LOCK).scalar_one())


def due(conn: Connection, limit: int, exclude: Collection[int] = ()) -> list[int]:
    """Return at most `limit` runs that a worker could claim now, urgent before others, oldest first, fair between labs.

    exclude: runs whose message waits in the broker already.
    """
    return list(conn.execute(_DUE, {"limit": limit, "exclude": list(exclude)}).scalars())


def urgent(conn: Connection, run_ids: Collection[int]) -> frozenset[int]:
    """Return which of the runs a lab calls urgent; reading the archive beside the active model never is."""
    return frozenset(conn.execute(_URGENT, {"runs": list(run_ids)}).scalars())


def expire(conn: Connection, decide: Decide) -> list[int]:
    """Quarantine the runs whose last worker went silent with no attempt left; return their ids."""
    spent = conn.execute(_SPENT).all()
    for row in spent:
        steps.quarantine(
            conn,
            row.id,
            actor="scheduler",
            code="worker_lost",
            cause=f"the worker went silent in attempt {row.attempt}; none is left",
            remedy="look at the worker's log for this run, then retry the slide",
        )
    patients.recompute_all(conn, {steps.patient_of(conn, row.id) for row in spent}, decide)
    return [row.id for row in spent]


def requeue(conn: Connection, run_id: int, decide: Decide, *, actor: str = "operator") -> None:
    """Make a quarantined or cancelled run due again, with all its attempts, as a person wishes.

    A run that waits for its next try becomes due at once; one that is pending already stays so.
    Raises NotFoundError, NotAllowedError when it is running or done, or its slide is not the current one.
    """
    row = steps.locked(conn, run_id)
    state = conn.execute(select(slide.c.state).where(slide.c.id == row.slide_id)).scalar_one()
    if state != SlideState.CURRENT:
        raise NotAllowedError(f"run {run_id}: its slide is {state}; upload it again")
    if row.state in (RunState.RUNNING, RunState.DONE):
        raise NotAllowedError(f"run {run_id} is {row.state}: there is nothing to retry")
    if row.state in (RunState.QUARANTINED, RunState.CANCELLED):
        steps.to_pending(conn, run_id, actor=actor, reason="requeued")
        patients.recompute(conn, steps.patient_of(conn, run_id), decide)
    else:
        steps.due_now(conn, run_id)


def cancel(conn: Connection, run_id: int, decide: Decide, reason: str, *, actor: str = "operator") -> None:
    """Withdraw a run as a person wishes: its slide no longer bears on the verdict. Harmless when cancelled.

    Raises NotFoundError.
    """
    row = steps.locked(conn, run_id)
    if row.state == RunState.CANCELLED and row.error_code == tallies.WITHDRAWN:
        return
    error = {
        "error_code": tallies.WITHDRAWN,
        "error_cause": reason,
        "error_remedy": "marrowline retry SLIDE undoes this",
    }
    steps.step(conn, run_id, RunState.CANCELLED, actor=actor, reason=reason, **error)
    patients.recompute(conn, steps.patient_of(conn, run_id), decide)
