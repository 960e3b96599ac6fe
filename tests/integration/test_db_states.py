"""The rules that no program can go round: legal steps, and logs that only grow."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from db import runs
from db.errors import NotAllowedError
from db.records import RunState, SlideState
from db.session import transaction
from tests.support.rows import add_slide, decide, execute, plan, read, taken

RUN_STEPS = {
    ("pending", "running"),
    ("pending", "cancelled"),
    ("running", "done"),
    ("running", "retry_wait"),
    ("running", "quarantined"),
    ("running", "cancelled"),
    ("retry_wait", "running"),
    ("retry_wait", "quarantined"),
    ("retry_wait", "cancelled"),
    ("quarantined", "pending"),
    ("quarantined", "cancelled"),
    ("done", "cancelled"),
    ("cancelled", "pending"),
}
SLIDE_STEPS = {
    ("incomplete", "current"),
    ("incomplete", "superseded"),
    ("incomplete", "missing"),
    ("current", "superseded"),
    ("current", "missing"),
    ("missing", "current"),
    ("missing", "superseded"),
    ("superseded", "current"),
}
_MAKE_FIT = {  # what else a row of that state must say
    "running": "fence = fence + 1, attempt = attempt + 1, lease_owner = 'w', lease_until = now() + interval '1 min'",
    "done": "finished_at = now(), n_batches = 0, n_cells = 0, lease_owner = NULL, lease_until = NULL",
    "quarantined": "error_code = 'x', error_cause = 'x', error_remedy = 'x', lease_owner = NULL, lease_until = NULL",
}
_NO_LEASE = "lease_owner = NULL, lease_until = NULL"


def _bring_to(engine: Engine, run_id: int, state: str) -> None:
    """Take a pending run to a state by the functions that the product uses."""
    if state == "pending":
        return
    if state == "cancelled":
        with transaction(engine) as conn:
            runs.cancel(conn, run_id, decide, "test")
        return
    if state == "done":
        read(engine, run_id)
        return
    claim = taken(engine, run_id)
    if state == "retry_wait":
        runs.release(engine, claim)
    elif state == "quarantined":
        runs.fail(engine, claim, code="x", cause="x", remedy="x", decide=decide)


@pytest.mark.parametrize("start", list(RunState))
def test_a_run_takes_exactly_the_legal_steps(lab: Engine, start: RunState) -> None:
    allowed = set()
    for number, end in enumerate(state for state in RunState if state != start):
        run_id = add_slide(lab, str(number))
        _bring_to(lab, run_id, start)
        try:
            with transaction(lab) as conn:
                fit = _MAKE_FIT.get(end, _NO_LEASE)
                conn.exec_driver_sql(f"UPDATE run SET state = '{end}', {fit} WHERE id = {run_id}")
        except NotAllowedError:
            continue
        allowed.add((start.value, end.value))
    assert allowed == {step for step in RUN_STEPS if step[0] == start}


@pytest.mark.parametrize("start", list(SlideState))
def test_a_slide_takes_exactly_the_legal_steps(lab: Engine, start: SlideState) -> None:
    add_slide(lab)
    allowed = set()
    for end in SlideState:
        with transaction(lab) as conn:
            conn.exec_driver_sql("ALTER TABLE slide DISABLE TRIGGER slide_step")
            conn.exec_driver_sql(f"UPDATE slide SET state = '{start}'")
            conn.exec_driver_sql("ALTER TABLE slide ENABLE TRIGGER slide_step")
        try:
            execute(lab, f"UPDATE slide SET state = '{end}'")
        except NotAllowedError:
            continue
        allowed.add((start.value, end.value))
    assert allowed == {(start, start)} | {step for step in SLIDE_STEPS if step[0] == start}


def test_a_slides_identity_never_changes(lab: Engine) -> None:
    add_slide(lab)
    with pytest.raises(NotAllowedError, match="identity"):
        execute(lab, "UPDATE slide SET etag = 'other'")


@pytest.mark.parametrize(
    "change",
    [
        "fence = fence - 1",
        "fence = fence + 2",
        "attempt = attempt + 1",
        "releases = releases - 1",
        "slide_id = slide_id + 1",
        "fence = fence + 1, attempt = attempt + 1",  # a take-over before the lease is over
    ],
)
def test_fence_attempt_and_identity_cannot_be_bent(lab: Engine, change: str) -> None:
    run_id = add_slide(lab)
    runs.release(lab, taken(lab, run_id))
    taken(lab, run_id)
    with pytest.raises(NotAllowedError), transaction(lab) as conn:
        conn.exec_driver_sql(f"UPDATE run SET {change}")


def test_a_run_cannot_be_inserted_as_anything_but_pending(lab: Engine) -> None:
    add_slide(lab)
    with pytest.raises(NotAllowedError), transaction(lab) as conn:
        conn.exec_driver_sql(
            "INSERT INTO run (slide_id, model_version_id, max_attempts, changed_by, change_reason, state)"
            " SELECT slide_id, model_version_id + 1, 3, 'x', 'x', 'cancelled' FROM run"
        )


def test_every_step_is_logged_with_actor_fence_and_reason(lab: Engine) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id, worker_id="w7")
    runs.retry_later(lab, claim, code="slow", cause="bucket", delay_s=0, counts=True, decide=decide)
    claim = taken(lab, run_id, worker_id="w8")
    runs.store_plan(lab, claim, plan(n_batches=0))
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        log = conn.exec_driver_sql(
            "SELECT from_state, to_state, fence, attempt, actor, reason FROM transition ORDER BY id"
        )
        assert [tuple(row) for row in log] == [
            (None, "pending", 0, 0, "scheduler", "registered"),
            ("pending", "running", 1, 1, "w7", "claim"),
            ("running", "retry_wait", 1, 1, "w7", "slow: bucket"),
            ("retry_wait", "running", 2, 2, "w8", "claim"),
            ("running", "done", 2, 2, "w8", "all batches written"),
        ]


def test_a_heartbeat_is_no_step(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    assert runs.heartbeat(lab, claim)
    with transaction(lab) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM transition").scalar_one() == 2


@pytest.mark.parametrize("table", ["transition", "verdict_history"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET reason = 'x'", "TRUNCATE {}"])
def test_logs_only_grow_even_for_their_owner(lab: Engine, table: str, change: str) -> None:
    add_slide(lab)
    with pytest.raises(NotAllowedError, match="only grows"), transaction(lab) as conn:
        conn.exec_driver_sql(change.format(table))
