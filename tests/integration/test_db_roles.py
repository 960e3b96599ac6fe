"""What each role may do: all of its own work, and nothing beyond. Every right by itself: test_db_rights.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from db import grants, migrate, models, reports, runs, workers
from db.records import SlideFacts
from db.session import sqlstate, transaction
from tests.support.rights import acting_as
from tests.support.rows import DEFAULTS, MODEL, batch, decide, execute, plan, scalar, standing, stored


@pytest.fixture
def scheduler(database_url: str) -> Iterator[Engine]:
    engine = acting_as(database_url, "marrowline_scheduler")
    yield engine
    engine.dispose()


@pytest.fixture
def worker(database_url: str) -> Iterator[Engine]:
    engine = acting_as(database_url, "marrowline_worker")
    yield engine
    engine.dispose()


def test_the_scheduler_and_the_worker_can_do_their_whole_work(scheduler: Engine, worker: Engine) -> None:
    facts = SlideFacts(lab="lab", patient="patient")
    with transaction(scheduler) as conn:
        models.register_model(conn, MODEL)
        models.activate(conn, MODEL.name, decide)
        for name in "abc":
            runs.register(conn, stored(name), facts, DEFAULTS, decide)
        runs.register(conn, stored("c", etag="e2"), facts, DEFAULTS, decide)
    workers.seen(worker, "w", "host", "cpu")
    workers.attempted(worker, "w")
    first, second, third = (runs.claim(worker, run_id, worker_id="w", lease_s=60) for run_id in (1, 2, 4))
    assert first is not None
    assert second is not None
    assert third is not None
    assert runs.heartbeat(worker, first)
    runs.store_plan(worker, first, plan())
    runs.write_batch(worker, first, batch())
    runs.store_plan(worker, first, plan(digest="other"))
    runs.write_batch(worker, first, batch())
    runs.finish(worker, first, decide)
    runs.fail(worker, second, code="x", cause="x", remedy="x", decide=decide)
    runs.release(worker, third)
    with transaction(scheduler) as conn:
        assert runs.sweep_lock(conn)
        assert runs.due(conn, 10) == [4]
        runs.requeue(conn, 2, decide)
        runs.cancel(conn, 2, decide, "x")
        runs.mark_missing(conn, 1, decide)
        runs.expire(conn, decide)
        assert standing(conn).open == 2
        assert reports.slides(conn)


FORBIDDEN_TO_WORKERS = [
    "SELECT pseudonym FROM patient",
    "UPDATE patient SET pseudonym = 'x'",
    "UPDATE slide SET state = 'missing'",
    "UPDATE run SET max_attempts = 99",
    "UPDATE run SET slide_id = 1",
    "DELETE FROM run",
    "DELETE FROM slide",
    "INSERT INTO transition (run_id, to_state, fence, attempt, actor, reason) VALUES (1, 'done', 1, 1, 'x', 'x')",
    "SELECT * FROM report.patients",
    "CREATE TABLE mine (x int)",
]


def test_workers_cannot_go_beyond_their_work(worker: Engine) -> None:
    assert [sql for sql in FORBIDDEN_TO_WORKERS if _state_of(worker, sql) == "42501"] == FORBIDDEN_TO_WORKERS


def _state_of(engine: Engine, sql: str) -> str | None:
    try:
        execute(engine, sql)
    except ProgrammingError as exc:
        return sqlstate(exc)
    return None


def test_rights_given_by_hand_are_taken_back_by_the_next_upgrade(engine: Engine) -> None:
    execute(
        engine,
        "GRANT DELETE ON patient TO marrowline_report; GRANT USAGE ON SCHEMA public TO PUBLIC, marrowline_report;"
        " COMMENT ON SCHEMA report IS 'older'",
    )
    migrate.upgrade(engine)
    assert not scalar(engine, "SELECT has_table_privilege('marrowline_report', 'patient', 'DELETE')")
    assert not scalar(engine, "SELECT has_schema_privilege('marrowline_report', 'public', 'USAGE')")


def test_the_list_of_roles_counts_what_is_held_in_columns_only(engine: Engine) -> None:
    with transaction(engine) as conn:
        held = {report.role: (report.present, report.reads, report.writes) for report in grants.roles(conn)}
    assert held["marrowline_webhook"] == (True, 1, 1)
    assert held["marrowline_report"][1] > 0 == held["marrowline_report"][2]
    with transaction(engine) as conn:
        conn.exec_driver_sql(
            "GRANT SELECT (id) ON worker TO marrowline_webhook; GRANT DELETE ON lab TO marrowline_webhook"
        )
        (webhook,) = (report for report in grants.roles(conn) if report.role == "marrowline_webhook")
        conn.rollback()
    assert (webhook.reads, webhook.writes) == (2, 2)
