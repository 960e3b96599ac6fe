"""What the sweeper offers to the workers, and whom it counts on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from db import models, runs, workers
from db.records import RunState
from db.session import transaction
from tests.support.rows import MODEL, add, add_slide, decide, execute, read, scalar, stored, taken


def _due(engine: Engine, limit: int = 100, exclude: list[int] | None = None) -> list[int]:
    with transaction(engine) as conn:
        return runs.due(conn, limit, exclude or [])


def test_labs_take_turns_oldest_slide_first(lab: Engine) -> None:
    big = [add_slide(lab, str(number), lab="big") for number in range(5)]
    small = [add_slide(lab, str(number), lab="small") for number in range(2)]
    assert _due(lab) == [big[0], small[0], big[1], small[1], *big[2:]]
    assert _due(lab, limit=3) == [big[0], small[0], big[1]]


def test_a_lab_that_is_served_already_yields(lab: Engine) -> None:
    big = [add_slide(lab, str(number), lab="big") for number in range(5)]
    small = [add_slide(lab, str(number), lab="small") for number in range(3)]
    taken(lab, big[0])
    assert _due(lab, exclude=[big[1]]) == [small[0], small[1], big[2], small[2], *big[3:]]


def test_urgent_slides_come_first_and_labs_take_turns_among_them(lab: Engine) -> None:
    ordinary = [add_slide(lab, str(number), lab=name) for number in range(2) for name in ("big", "small")]
    with transaction(lab) as conn:
        big = [_add_urgent(conn, number, "big") for number in range(3)]
        small = _add_urgent(conn, 9, "small")
    assert _due(lab) == [big[0], small, big[1], big[2], *ordinary]
    with transaction(lab) as conn:
        assert runs.urgent(conn, [*ordinary, *big]) == set(big)


def test_an_urgent_slide_is_urgent_for_the_active_model_only(lab: Engine) -> None:
    with transaction(lab) as conn:
        run_id = _add_urgent(conn, 1, "big")
        models.register_model(conn, replace(MODEL, name="m2", weights_sha256="b" * 64))
        models.read_archive(conn, "m2")
    plain = add_slide(lab)
    due = _due(lab)
    assert due[:2] == [run_id, plain]
    with transaction(lab) as conn:
        assert (len(due), *runs.urgent(conn, due)) == (3, run_id)


def _add_urgent(conn: Connection, number: int, lab: str) -> int:
    return add(conn, stored(f"{lab}/patient/urgent-{number}.tif"), lab=lab, urgent=True)


def test_due_is_exactly_what_can_be_claimed(lab: Engine) -> None:
    run_ids = {state: add_slide(lab, state) for state in (*RunState, "later", "lost", "missing")}
    read(lab, run_ids["done"])
    taken(lab, run_ids["running"])
    taken(lab, run_ids["lost"])
    execute(lab, f"UPDATE run SET lease_until = now() - interval '1 s' WHERE id = {run_ids['lost']}")
    runs.release(lab, taken(lab, run_ids["retry_wait"]))
    runs.fail(lab, taken(lab, run_ids["quarantined"]), code="x", cause="x", remedy="x", decide=decide)
    claim = taken(lab, run_ids["later"])
    runs.retry_later(lab, claim, code="x", cause="x", delay_s=60, counts=True, decide=decide)
    with transaction(lab) as conn:
        runs.cancel(conn, run_ids["cancelled"], decide, "x")
        runs.mark_missing(conn, scalar(lab, "SELECT id FROM slide WHERE key LIKE '%%missing%%'"), decide)
    due = _due(lab)
    assert set(due) == {run_ids[name] for name in ("pending", "retry_wait", "lost")}
    claimed = {i for i in run_ids.values() if runs.claim(lab, i, worker_id="w", lease_s=60) is not None}
    assert claimed == set(due)


def test_one_sweeper_at_a_time(lab: Engine) -> None:
    with transaction(lab) as one, transaction(lab) as other:
        assert runs.sweep_lock(one)
        assert not runs.sweep_lock(other)
    with transaction(lab) as other:
        assert runs.sweep_lock(other)


def test_live_workers_are_those_seen_lately(lab: Engine) -> None:
    workers.seen(lab, "w1", "host", "cpu")
    workers.seen(lab, "w2", "host", "cuda:0")
    execute(lab, "UPDATE worker SET seen_at = now() - interval '90 s'")
    workers.seen(lab, "w1", "host", "cpu")
    with transaction(lab) as conn:
        assert (workers.live(conn), workers.live(conn, within_s=120)) == (1, 2)


def test_a_claim_attempt_is_a_sign_of_life(lab: Engine) -> None:
    workers.seen(lab, "w1", "host", "cpu")
    execute(lab, "UPDATE worker SET seen_at = now() - interval '90 s'")
    workers.attempted(lab, "w1")
    assert scalar(lab, "SELECT last_claim_attempt_at = seen_at FROM worker") is True
    with transaction(lab) as conn:
        assert workers.live(conn) == 1


@pytest.mark.parametrize("limit", [0, 1])
def test_the_budget_is_never_exceeded(lab: Engine, limit: int) -> None:
    for number in range(3):
        add_slide(lab, str(number))
    assert len(_due(lab, limit=limit)) == limit
