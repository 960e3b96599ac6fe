"""Postgres dropping a connection, refusing one, or going away: nothing is half done, and all is done in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from db import runs
from db.config import DatabaseSettings
from db.errors import UnavailableError
from db.records import Batch
from db.session import make_engine, retrying, transact, transaction
from tests.support.invariants import violations
from tests.support.rows import add_slide, batch, cell, decide, execute, plan, scalar, taken


def _kill_me(conn: Connection) -> None:
    conn.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def _once(engine: Engine, moment: str) -> list[str]:
    """Cut the next transaction's connection at the given moment, once; return the list that says it happened."""
    done: list[str] = []

    def cut(conn: Connection) -> None:
        if not done:
            done.append(moment)
            _kill_me(conn)

    event.listen(engine, moment, cut)
    return done


@pytest.mark.parametrize("moment", ["begin", "commit"])
def test_a_write_whose_connection_breaks_is_done_again_whole(lab: Engine, moment: str) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    cut = _once(lab, moment)
    runs.write_batch(lab, claim, batch(classes=["lymphocyte"] * 3))
    assert cut == [moment]
    assert scalar(lab, "SELECT count(*) FROM cell") == 3
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        assert violations(conn) == []


def test_a_commit_whose_answer_is_lost_has_one_effect(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan(n_batches=0))
    calls = []

    def work() -> None:
        runs.finish(lab, claim, decide)
        calls.append(1)
        if len(calls) == 1:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    retrying(work)
    assert len(calls) == 2
    assert scalar(lab, "SELECT count(*) FROM transition WHERE to_state = 'done'") == 1
    assert scalar(lab, "SELECT max(rev) FROM verdict") == 2


def test_a_copy_cut_in_the_middle_leaves_no_row(lab: Engine, database_url: str) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    big = Batch(no=0, cells=tuple(cell(i) for i in range(30_000)))
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(runs.write_batch, lab, claim, big)
        cut = _cut_copy(database_url, until=written.done)
        written.result()
    assert cut
    assert scalar(lab, "SELECT count(*) FROM cell") == scalar(lab, "SELECT count(*) FROM outline") == 30_000


def _cut_copy(url: str, *, until: Callable[[], bool]) -> bool:
    """End the first backend that is seen copying rows in; tell whether one was."""
    engine = make_engine(url)
    found = 0
    while not found and not until():
        found = scalar(engine, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_progress_copy")
    engine.dispose()
    return bool(found)


def test_transactions_that_deadlock_are_both_done_in_the_end(lab: Engine) -> None:
    first, second = add_slide(lab, "a"), add_slide(lab, "b")
    met = threading.Barrier(2, timeout=20)
    tried: list[int] = []

    def both(order: tuple[int, int]) -> None:
        def work(conn: Connection) -> None:
            tried.append(1)
            conn.exec_driver_sql(f"UPDATE run SET max_attempts = max_attempts + 1 WHERE id = {order[0]}")
            if len(tried) <= 2:
                met.wait()
            conn.exec_driver_sql(f"UPDATE run SET max_attempts = max_attempts + 1 WHERE id = {order[1]}")

        transact(lab, work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(both, [(first, second), (second, first)]))
    assert len(tried) > 2
    assert scalar(lab, "SELECT min(max_attempts) FROM run") == 5


def test_no_server_is_said_as_unavailable() -> None:
    nowhere = make_engine("postgresql://postgres@/none?host=/nonexistent")
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        transact(nowhere, lambda conn: conn.exec_driver_sql("SELECT 1"), patience_s=0.5)
    assert time.monotonic() - started < 5


def test_a_bug_is_not_tried_again(engine: Engine) -> None:
    calls = []

    def work(conn: Connection) -> None:
        calls.append(1)
        conn.exec_driver_sql("SELECT nonsense")

    with pytest.raises(Exception, match="nonsense"):
        transact(engine, work)
    assert len(calls) == 1


def test_a_statement_has_its_limit(database_url: str) -> None:
    engine = make_engine(database_url, settings=DatabaseSettings(statement_timeout_s=0.2))
    with pytest.raises(OperationalError, match="statement timeout"):
        execute(engine, "SELECT pg_sleep(5)")
    engine.dispose()


def test_waiting_for_a_lock_has_its_limit(lab: Engine, database_url: str) -> None:
    add_slide(lab)
    hasty = make_engine(database_url, settings=DatabaseSettings(lock_timeout_s=0.2))
    with transaction(lab) as conn:
        conn.exec_driver_sql("UPDATE run SET max_attempts = 4")
        with pytest.raises(UnavailableError, match="55P03"):
            transact(hasty, lambda other: other.exec_driver_sql("UPDATE run SET max_attempts = 5"), patience_s=0.5)
    hasty.dispose()


def test_a_worker_that_hangs_in_a_transaction_loses_its_locks(lab: Engine, database_url: str) -> None:
    run_id = add_slide(lab)
    hanging = make_engine(database_url, settings=DatabaseSettings(idle_timeout_s=0.3))

    def hang() -> None:
        with transaction(hanging) as conn:
            conn.exec_driver_sql(f"SELECT FROM run WHERE id = {run_id} FOR UPDATE")
            taken(lab, run_id)
            conn.exec_driver_sql("SELECT 1")

    with pytest.raises(OperationalError):
        hang()
    assert scalar(lab, "SELECT state FROM run") == "running"
    hanging.dispose()
