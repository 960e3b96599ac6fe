"""Rows 14-19: lost answers, a crashed Postgres, thrown-out clients, deadlocks, and no connection left."""

from __future__ import annotations

import signal
from contextlib import ExitStack, closing

import psycopg2
from sqlalchemy import text

from tests.faults.proxy import Trouble
from tests.faults.rig import Rig, through
from tests.faults.rows_workers import held

COMMITS = {
    "batch": (b"COPY cell", b"COMMIT"),
    "end": (b"INSERT INTO run_count", b"COMMIT"),
    "claim": (b"lease ran out", b"COMMIT"),
}
"""What is sent before the COMMIT whose answer is lost."""
_TERMINATED = 15


def commit_answer_lost(rig: Rig) -> None:
    """Row 14."""
    rig.line()
    rig.start("worker", **through(rig.to_postgres, rig))
    for name, sent in COMMITS.items():
        lost = rig.to_postgres.counters.lost
        rig.to_postgres.trouble = Trouble(lose_after=sent, times=lost + 1)
        rig.upload(name)
        rig.settled()
        assert rig.to_postgres.counters.lost == lost + 1, f"the answer to the {name} was not lost"
    attempts = [row["attempt"] for row in rig.rows("SELECT attempt FROM run ORDER BY id")]
    assert attempts[:2] == [1, 1], f"a repeated transaction did not find its own effect: attempts {attempts}"
    rig.note(f"{rig.to_postgres.counters.lost} answers lost")


def crashed_in_copy(rig: Rig) -> None:
    """Row 15."""
    child = rig.child(held(rig, "batch.copied"))
    rig.ground.postgres.stop(signal.SIGQUIT)
    rig.ground.postgres.start()
    written = rig.value("SELECT count(*) FROM batch")
    assert written == 5, f"{written} batches are there of 5 that were committed"
    child.resume()
    rig.settled()


def clients_thrown_out(rig: Rig) -> None:
    """Row 16."""
    rig.line("worker")
    for number in range(3):
        rig.upload(f"n{number}", "abc"[number])
    struck = 0

    def all_struck() -> bool:
        nonlocal struck
        struck += int(
            rig.value(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
                f" WHERE datname = current_database() AND application_name = 'marrowline' AND pid <> pg_backend_pid()"
                f" ORDER BY md5(pid::text || '{struck}') LIMIT 1) AS one"
            )
        )
        return struck >= _TERMINATED

    rig.until(all_struck, "enough connections are ended")
    rig.settled()
    rig.note(f"{struck} connections ended")


def away(rig: Rig) -> None:
    """Row 17."""
    child = rig.child(held(rig, "batch.read"))
    rig.ground.postgres.stop()
    child.resume()
    rig.until(lambda: rig.outcomes()["dropped"] + rig.outcomes()["fenced"] >= 1, "the worker drops the run")
    rig.ground.postgres.start()
    rig.settled()
    assert rig.value("SELECT attempt FROM run") == 2


def deadlocked(rig: Rig) -> None:
    """Row 18."""
    child = rig.child(held(rig, "run.ending", skip=0))
    with rig.engine.connect() as conn:
        # The worker's session looks for the deadlock after a second, this one never: the worker is its victim.
        conn.execute(text("SET LOCAL deadlock_timeout = '10min'"))
        conn.execute(text("SELECT FROM patient FOR UPDATE"))
        child.resume()
        rig.until(lambda: rig.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the worker waits for a lock")
        conn.execute(text("SELECT FROM run FOR UPDATE"))
    rig.settled()
    assert rig.value("SELECT attempt FROM run") == 1
    log = (rig.ground.postgres.home.logs / "postgres.log").read_text(encoding="utf-8", errors="replace")
    assert "deadlock detected" in log


def no_connection_left(rig: Rig) -> None:
    """Row 19."""
    rig.line("worker")
    rig.value("SELECT 1")  # keeps a connection of the harness' own
    with ExitStack() as taken:
        _take_all(rig, taken)
        rig.upload("struck")
        rig.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'marrowline' AND pid <> pg_backend_pid()"
        )
        _take_all(rig, taken)
        rig.until(lambda: rig.said("listing failed") or rig.said("sweep failed"), "the scheduler has no connection")
    rig.settled()
    assert [rig.ended(name) for name in rig.parts] == [None, None], "a part crashed"


def _take_all(rig: Rig, taken: ExitStack) -> None:
    """Open connections until Postgres has none left."""
    try:
        while True:
            taken.enter_context(closing(psycopg2.connect(rig.ground.postgres.url("postgres"))))
    except psycopg2.OperationalError:
        return
