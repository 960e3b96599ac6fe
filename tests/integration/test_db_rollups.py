"""The sums behind the laboratories' reports: kept by every transaction, and what counting anew would give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from db import runs
from db.counts import Verdict
from db.records import Batch, Finding
from db.session import transaction
from tests.support.invariants import violations
from tests.support.rows import add, add_slide, batch, cell, decide, execute, plan, read, scalar, stored, taken

_TODAY = "asked, done, quarantined, retried, cancelled, cells"
_STEPS = "SELECT string_agg(span || ' ' || step || ' ' || readings, ', ' ORDER BY span) FROM lab_day_time"


def rows(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    with transaction(engine) as conn:
        return [tuple(row) for row in conn.exec_driver_sql(sql)]


def test_each_step_of_a_run_is_added_to_its_day_and_laboratory(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"), ["lymphoblast"] * 3)
    read(lab, add_slide(lab, "b", lab="other"), ["lymphocyte"])
    runs.fail(lab, taken(lab, add_slide(lab, "c")), code="bad", cause="torn", remedy="scan again", decide=decide)
    claim = taken(lab, add_slide(lab, "d"))
    runs.retry_later(lab, claim, code="net", cause="slow", delay_s=60, counts=True, decide=decide)
    with transaction(lab) as conn:
        runs.cancel(conn, claim.run_id, decide, "wrong patient")
    kept = rows(
        lab, f"SELECT code, day = (now() AT TIME ZONE 'UTC')::date, {_TODAY} FROM lab_day JOIN lab ON id = lab_id"
    )
    assert sorted(kept) == [("lab", True, 3, 1, 1, 1, 1, 3), ("other", True, 1, 1, 0, 0, 0, 1)]


def test_a_time_is_kept_in_steps_of_a_sixteenth_of_its_doubling(lab: Engine) -> None:
    read(lab, add_slide(lab))
    assert scalar(lab, _STEPS) == "reading 0 1, turnaround 0 1, waiting 0 1"
    execute(
        lab,
        "SET LOCAL session_replication_role = replica;"
        "UPDATE transition SET at = at - CASE to_state WHEN 'pending' THEN interval '100 s' WHEN 'running' THEN"
        " interval '65 s' ELSE interval '1 s' END; SELECT sum_up_again()",
    )
    assert scalar(lab, _STEPS) == "reading 96 1, turnaround 106 1, waiting 82 1"  # 64, 99 and 35 s


def test_a_second_reading_does_not_seem_to_have_waited_since_the_first_was_asked_for(lab: Engine) -> None:
    run_id = add_slide(lab)
    read(lab, run_id)
    execute(lab, "SET LOCAL session_replication_role = replica; UPDATE transition SET at = at - interval '1 year'")
    with transaction(lab) as conn:
        runs.cancel(conn, run_id, decide, "again")
        runs.requeue(conn, run_id, decide)
    read(lab, run_id)
    assert scalar(lab, f"{_STEPS} WHERE day = (now() AT TIME ZONE 'UTC')::date AND step > 0") is None
    assert scalar(lab, "SELECT sum(readings) FROM lab_day_time") == 6


def test_findings_are_counted_by_their_newest_verdict(lab: Engine) -> None:
    read(lab, add_slide(lab, patient="p1"), ["lymphoblast"])
    read(lab, add_slide(lab, patient="p2"), ["lymphocyte"])
    add_slide(lab, patient="p3")
    findings = "SELECT finding, patients FROM lab_finding WHERE patients > 0 ORDER BY finding"
    assert rows(lab, findings) == [("consistent_with_ALL", 1), ("incomplete", 1), ("no_evidence", 1)]
    add_slide(lab, "b", patient="p2")
    assert rows(lab, findings) == [("consistent_with_ALL", 1), ("incomplete", 2)]


def test_what_is_rolled_back_is_not_summed_up(lab: Engine) -> None:
    with transaction(lab) as conn:
        add(conn, stored())
        conn.rollback()
    assert scalar(lab, "SELECT count(*) FROM lab_day") + scalar(lab, "SELECT count(*) FROM lab_finding") == 0


def test_transactions_that_touch_two_laboratories_in_turn_do_not_deadlock(lab: Engine) -> None:
    for one in "ab":
        add_slide(lab, "first", lab=one)

    def both(number: int) -> None:
        with transaction(lab) as conn:
            for one in sorted("ab", reverse=bool(number % 2)):
                add(conn, stored(f"{one}/{number}/x.tif"), lab=one, patient=str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(both, range(40)))
    assert rows(lab, "SELECT asked FROM lab_day") == [(41,), (41,)]
    with transaction(lab) as conn:
        assert violations(conn) == []


def test_a_wrong_sum_is_noticed(lab: Engine) -> None:
    read(lab, add_slide(lab))
    execute(lab, "UPDATE lab_day SET done = done + 1")
    with transaction(lab) as conn:
        assert violations(conn) == ["the sums in lab_day are not what counting anew gives"]
    assert scalar(lab, "SELECT done FROM lab_day") == 2, "to look does not mend"


@pytest.mark.parametrize("cells", [0, 3])
def test_a_batch_knows_the_box_around_its_cells(lab: Engine, cells: int) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(
        lab, claim, Batch(no=0, cells=tuple(cell(no) for no in range(cells))) if cells else batch(classes=())
    )
    box = (0.0, 20.25, 21.0, 20.25) if cells else (None,) * 4
    assert rows(lab, "SELECT x_min_l0, y_min_l0, x_max_l0, y_max_l0 FROM batch") == [box]


def changes(engine: Engine, table: str) -> int:
    """Return how many rows of the table transactions that forced their figures out have changed."""
    return int(scalar(engine, f"SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = '{table}'"))


def test_a_transaction_that_writes_much_changes_each_sum_once(lab: Engine) -> None:
    for number in range(20):
        read(lab, add_slide(lab, patient=f"p{number}"))
    execute(lab, "SELECT pg_stat_force_next_flush()")
    before = {table: changes(lab, table) for table in ("lab_day", "lab_finding")}
    with transaction(lab) as conn:
        conn.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        conn.exec_driver_sql("UPDATE verdict SET finding = 'indeterminate'")
        for run_id in range(1, 21):
            runs.cancel(conn, run_id, lambda _: indeterminate(), "wrong patient")
    assert rows(lab, "SELECT finding, patients FROM lab_finding WHERE patients > 0") == [("indeterminate", 20)]
    assert {table: changes(lab, table) - count for table, count in before.items()} == {"lab_day": 1, "lab_finding": 2}


def indeterminate() -> Verdict:
    return Verdict(finding=Finding.INDETERMINATE, reason="", rule="test-rule", cells=0, shares={})


def test_what_a_savepoint_takes_back_is_not_summed(lab: Engine) -> None:
    run_id = add_slide(lab)
    read(lab, run_id)
    with transaction(lab) as conn:
        with conn.begin_nested():
            runs.cancel(conn, run_id, decide, "wrong patient")
        runs.requeue(conn, run_id, decide)
        undone = conn.begin_nested()
        runs.cancel(conn, run_id, decide, "wrong patient")
        undone.rollback()
    assert rows(lab, f"SELECT {_TODAY} FROM lab_day") == [(2, 1, 0, 0, 1, 1)]
    with lab.connect() as conn:
        assert violations(conn) == []
