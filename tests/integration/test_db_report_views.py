"""The views for laboratories: what they count, and that the database itself says what each column is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from db import runs
from db.counts import Tally, Verdict
from db.records import Batch, Specimen
from db.session import transaction
from tests.support.rows import add, add_slide, batch, cell, decide, execute, plan, read, scalar, stored, taken
from worker.verdict import decide as real_decide

NOTICE = "Research use only, not for diagnostic procedures."
_COMMENTS = """
    SELECT relname, attname, col_description(pg_class.oid, attnum), obj_description(pg_class.oid, 'pg_class')
      FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
     WHERE relnamespace = 'report'::regnamespace
"""
_SHARES = {"lymphoblast": {"value": 0.5, "ci_low": 0.1, "ci_high": 0.9}}


def rows(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with transaction(engine) as conn:
        return [tuple(row) for row in conn.exec_driver_sql(sql)]


def quarantine(engine: Engine, name: str, code: str, *, lab: str = "lab", patient: str = "patient") -> None:
    claim = taken(engine, add_slide(engine, name, lab=lab, patient=patient))
    runs.fail(engine, claim, code=code, cause="torn", remedy=f"mend {name}", decide=decide)


def test_every_view_and_column_says_what_it_is(engine: Engine) -> None:
    found = rows(engine, _COMMENTS)
    assert len({row[0] for row in found}) >= 18
    assert [f"{view}.{name}" for view, name, comment, _ in found if not comment] == []
    assert {view for view, *_, comment in found if not (comment or "").endswith(NOTICE)} == set()


def test_every_function_for_readers_says_what_it_is(engine: Engine) -> None:
    told = rows(
        engine, "SELECT obj_description(oid, 'pg_proc') FROM pg_proc WHERE pronamespace = 'report'::regnamespace"
    )
    assert told
    assert all((comment or "").endswith(NOTICE) for (comment,) in told)


def test_the_history_tells_each_verdict_with_the_one_before(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphocyte"])
    add_slide(lab, "b")
    found = rows(lab, "SELECT finding_before, finding, slides_open FROM report.verdict_history ORDER BY rev")
    assert found == [(None, "incomplete", 1), ("incomplete", "no_evidence", 0), ("no_evidence", "incomplete", 1)]


def test_the_newest_of_the_history_is_what_is_reported(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphoblast", "lymphocyte"])
    columns = "finding, reason, rule, cells, shares, evidence, lymphoblast_share, reported_at"
    newest = f"SELECT {columns} FROM report.verdict_history ORDER BY rev DESC LIMIT 1"
    assert rows(lab, newest) == rows(lab, f"SELECT {columns} FROM report.patients")


def test_throughput_counts_a_laboratorys_day(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphocyte"] * 3)
    read(lab, add_slide(lab, lab="other"))
    counts = "SELECT asked, done, quarantined, retried, cancelled, cells FROM report.throughput WHERE lab = 'lab'"
    assert rows(lab, f"{counts} AND day = (now() AT TIME ZONE 'UTC')::date") == [(1, 1, 0, 0, 0, 3)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.lists(st.integers(1, 10**6), min_size=1, max_size=60))
def test_percentiles_are_within_a_fortieth_of_the_true_ones(shared_engine: Engine, seconds: list[int]) -> None:
    execute(
        shared_engine,
        "DELETE FROM lab_day_time; INSERT INTO lab_day_time SELECT 1, '2026-01-05', 'reading',"
        f" floor(16 * ln(s) / ln(2.0::float8)), count(*) FROM unnest(ARRAY{seconds}) AS s GROUP BY 4",
    )
    ((told, *_),) = rows(
        shared_engine,
        "SELECT ARRAY[p50_s, p90_s, p95_s, p99_s], period FROM report.turnaround WHERE lab = 'lab' AND period = 'week'",
    )
    true = f"percentile_disc(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY s) FROM unnest(ARRAY{seconds}) AS s"
    assert told == pytest.approx(scalar(shared_engine, f"SELECT {true}"), rel=0.025)


@pytest.fixture
def shared_engine(lab: Engine) -> Engine:
    """A database with a laboratory, which the examples of one property use after one another."""
    add_slide(lab)
    return lab


def test_times_are_told_by_day_week_and_month(lab: Engine) -> None:
    add_slide(lab)
    execute(
        lab, "INSERT INTO lab_day_time VALUES (1, '2026-02-03', 'reading', 16, 3), (1, '2026-02-05', 'reading', 32, 1)"
    )
    found = rows(
        lab, "SELECT period, since::text, readings, round(p50_s::numeric, 1) FROM report.turnaround ORDER BY 1, 2"
    )
    assert [(period, since, int(n), float(p50)) for period, since, n, p50 in found] == [
        ("day", "2026-02-03", 3, 2.0),
        ("day", "2026-02-05", 1, 4.1),
        ("month", "2026-02-01", 4, 2.0),
        ("week", "2026-02-02", 4, 2.0),
    ]


def test_causes_of_quarantine_are_those_of_now(lab: Engine) -> None:
    for name, code, patient in (("a", "focus", "p1"), ("b", "focus", "p1"), ("c", "focus", "p2"), ("d", "torn", "p2")):
        quarantine(lab, name, code, patient=patient)
    with transaction(lab) as conn:
        runs.requeue(conn, scalar(lab, "SELECT run_id FROM report.slides WHERE error_code = 'torn'"), decide)
    found = rows(
        lab, "SELECT error_code, slides, patients, remedy, oldest_at < newest_at FROM report.quarantine_causes"
    )
    assert found == [("focus", 3, 2, "mend c", True)]


def test_the_insufficient_rate_is_a_share_of_the_laboratorys_patients(lab: Engine) -> None:
    read(lab, add_slide(lab, patient="p1"), ["smudge"])
    for number in (2, 3, 4):
        read(lab, add_slide(lab, patient=f"p{number}"), ["lymphocyte"])
    with transaction(lab) as conn:  # counts every called cell; without any the finding is insufficient
        run_id = add(conn, stored("other/p/a.tif"), lab="other", patient="p")
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=()))
    runs.finish(lab, claim, decide)
    found = rows(lab, "SELECT lab, finding, patients, share, active FROM report.findings ORDER BY 1, 2")
    assert found == [("lab", "no_evidence", 4, 1.0, True), ("other", "insufficient", 1, 1.0, True)]


def test_shares_of_findings_add_up_to_one_in_each_laboratory(lab: Engine) -> None:
    read(lab, add_slide(lab, patient="p1"), ["lymphoblast"])
    for number in (2, 3, 4):
        add_slide(lab, patient=f"p{number}")
    assert rows(lab, "SELECT finding, share FROM report.findings ORDER BY 1") == [
        ("consistent_with_ALL", 0.25),
        ("incomplete", 0.75),
    ]


def test_blasts_are_followed_from_sample_to_sample(lab: Engine) -> None:
    samples = {1: ["lymphoblast"] * 4 + ["lymphocyte"] * 6, 9: ["lymphoblast"] + ["lymphocyte"] * 8 + ["smudge"]}
    for day, classes in samples.items():
        with transaction(lab) as conn:
            run_id = add(conn, stored(f"{day}.tif"), taken_at=datetime(2026, 3, day, 23, 30, tzinfo=UTC))
        read(lab, run_id, classes)
    found = rows(lab, "SELECT taken_on::text, cells, blast_share, slides FROM report.blast_trend ORDER BY 1")
    assert found == [("2026-03-01", 10, 0.4, 1), ("2026-03-09", 9, pytest.approx(1 / 9), 1)]
    low, high = rows(lab, "SELECT blast_ci_low, blast_ci_high FROM report.blast_trend ORDER BY taken_on")[0]
    assert (low, high) == pytest.approx((0.1682, 0.6873), abs=1e-4)  # Wilson's interval of 4 in 10


def test_abstained_cells_are_below_the_line_of_the_trend(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=(cell(0, "lymphoblast"), cell(1, "lymphoblast", abstained=True))))
    runs.finish(lab, claim, decide)
    assert rows(lab, "SELECT cells, abstained, blast_share FROM report.blast_trend") == [(2, 1, 0.5)]


def with_shares(tally: Tally) -> Verdict:
    evidence = {"specimens": [{"specimen": one.specimen.value, "shares": _SHARES} for one in tally.specimens]}
    return replace(decide(tally), evidence=evidence)


@pytest.mark.parametrize(
    ("judge", "lymphoblast", "lymphocyte"),
    [(with_shares, (0.1, 0.9), (None, None)), (real_decide, (0.01258, 0.98742), (0.01258, 0.98742))],
)
def test_the_differential_has_the_verdicts_own_intervals(
    lab: Engine, judge: Any, lymphoblast: Any, lymphocyte: Any
) -> None:
    execute(lab, "INSERT INTO lab (code, rule, default_specimen) VALUES ('lab', 'marrowline-2026.1', 'marrow')")
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, batch(classes=["lymphoblast", "lymphocyte"]))
    runs.finish(lab, claim, judge)
    found = rows(lab, "SELECT cell_class, share, ci_low, ci_high FROM report.differential ORDER BY 1")
    assert found[0][:2] == ("lymphoblast", 0.5)
    assert found[0][2:] == pytest.approx(lymphoblast, abs=1e-4)
    assert found[1][:2] == ("lymphocyte", 0.5)
    assert found[1][2:] == (lymphocyte if lymphocyte[0] is None else pytest.approx(lymphocyte, abs=1e-4))


def test_an_interval_is_that_of_the_specimen(lab: Engine) -> None:
    for name, specimen in (("a", Specimen.MARROW), ("b", Specimen.BLOOD)):
        with transaction(lab) as conn:
            run_id = add(conn, stored(f"{name}.tif"), specimen=specimen)
        claim = taken(lab, run_id)
        runs.store_plan(lab, claim, plan())
        runs.write_batch(lab, claim, batch(classes=["lymphoblast"]))
        runs.finish(lab, claim, with_shares)
    execute(
        lab, """UPDATE verdict SET evidence = jsonb_set(evidence, '{specimens,0,shares,lymphoblast,ci_low}', '0.25')"""
    )
    first = scalar(lab, "SELECT evidence #>> '{specimens,0,specimen}' FROM verdict")
    found = dict(rows(lab, "SELECT specimen, ci_low FROM report.differential"))
    assert found.pop(first) == 0.25
    assert list(found.values()) == [0.1]


def test_the_audit_tells_what_was_sealed_in_the_order_of_the_chain(lab: Engine) -> None:
    read(lab, add_slide(lab))
    execute(
        lab,
        "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class, note)"
        " VALUES (1, 0, 0, 'ruth', 'monocyte', 'folded')",
    )
    found = rows(lab, "SELECT kind, actor, what, reason FROM report.audit ORDER BY seq")
    assert [(kind, what) for kind, _, what, _ in found] == [
        ("transition", "pending"),
        ("verdict", "incomplete"),
        ("transition", "pending -> running"),
        ("transition", "running -> done"),
        ("verdict", "no_evidence"),
        ("correction", "cell 0/0 is monocyte"),
    ]
    assert found[-1][1:] == ("ruth", "cell 0/0 is monocyte", "folded")
    assert rows(lab, "SELECT seq, hash FROM report.audit ORDER BY 1") == rows(
        lab, "SELECT seq, hash FROM audit ORDER BY 1"
    )


def placed(engine: Engine, run_id: int, batches: list[list[tuple[float, float]]]) -> None:
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan(n_batches=len(batches)))
    for no, places in enumerate(batches):
        cells = tuple(replace(cell(i), x_l0=x, y_l0=y) for i, (x, y) in enumerate(places))
        runs.write_batch(engine, claim, Batch(no=no, cells=cells))
    runs.finish(engine, claim, decide)


@pytest.mark.parametrize("boxes", [True, False])
def test_cells_of_a_place_are_those_whose_centroid_lies_there(lab: Engine, boxes: bool) -> None:
    run_id = add_slide(lab)
    placed(lab, run_id, [[(10, 10), (19.9, 10), (20, 10), (15, 20)], [], [(12, 19.5), (900, 900)], [(500, 500)]])
    if not boxes:
        execute(lab, "UPDATE batch SET x_min_l0 = NULL")
    found = rows(lab, f"SELECT batch_no, cell_no FROM report.cells_within({run_id}, 10, 10, 20, 20)")
    assert found == [(0, 0), (0, 1), (2, 0)]


def test_a_place_is_found_by_its_batches_not_by_reading_the_whole_slide(lab: Engine) -> None:
    run_id = add_slide(lab)
    placed(lab, run_id, [[(100.0 * no + i, 5.0) for i in range(20)] for no in range(60)])
    execute(lab, "ANALYZE")
    fetched = (
        "SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname ~ '^cell_p'"
    )
    with transaction(lab) as conn:
        for method in ("seqscan", "hashjoin", "mergejoin"):  # as for tables that are not small
            conn.exec_driver_sql(f"SET LOCAL enable_{method} = off")
        before = conn.exec_driver_sql(fetched).scalar_one()  # earlier transactions of the connection may be in it
        seen = conn.exec_driver_sql(f"SELECT count(*) FROM report.cells_within({run_id}, 300, 0, 310, 10)").scalar_one()
        assert (seen, conn.exec_driver_sql(fetched).scalar_one() - before) == (10, 20)


def test_cells_of_an_unfinished_reading_have_no_place(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, batch())
    assert rows(lab, f"SELECT * FROM report.cells_within({claim.run_id}, 0, 0, 1e9, 1e9)") == []
