"""What readers see: finished work only, as the command line prints it, and no way to write."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from db import cell_reports, reports, runs
from db.counts import Share
from db.errors import QueryError
from db.query import answered
from db.records import Batch, Specimen
from db.session import transaction
from tests.support.rows import add, add_slide, batch, cell, decide, plan, read, scalar, stored, taken


def test_a_patient_is_reported_as_the_command_line_promises(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphoblast", "lymphocyte"])
    with transaction(lab) as conn:
        (found,) = reports.patients(conn)
    assert abs(found.reported_at - datetime.now(UTC)) < timedelta(minutes=5)
    printed = asdict(found)
    del printed["reported_at"]
    assert printed == {
        "lab": "lab",
        "patient": "patient",
        "finding": "consistent_with_ALL",
        "reason": "1 of 2",
        "cells": 2,
        "slides_done": 1,
        "slides_open": 0,
        "slides_quarantined": 0,
        "model_version": "m1",
        "rule": "test-rule",
        "shares": {"lymphoblast": {"value": 0.5, "ci_low": 0.0, "ci_high": 1.0, "threshold": 0.2, "p_above": 0.5}},
    }
    assert found.shares["lymphoblast"] == Share(value=0.5, ci_low=0.0, ci_high=1.0, threshold=0.2, p_above=0.5)


def test_patients_are_filtered_and_paged(lab: Engine) -> None:
    for place, name in (("l1", "p1"), ("l1", "p2"), ("l2", "p1")):
        add_slide(lab, lab=place, patient=name)
    with transaction(lab) as conn:
        names = [(one.lab, one.patient) for one in reports.patients(conn)]
        assert names == [("l1", "p1"), ("l1", "p2"), ("l2", "p1")]
        assert [one.lab for one in reports.patients(conn, patient="p1")] == ["l1", "l2"]
        assert [one.patient for one in reports.patients(conn, lab="l1", limit=1, offset=1)] == ["p2"]


def test_each_slides_state_has_its_word(lab: Engine) -> None:
    names = ("waiting", "reading", "retried", "done", "quarantined", "withdrawn", "missing", "old")
    ids = {name: add_slide(lab, name) for name in names}
    taken(lab, ids["reading"])
    read(lab, ids["done"], ["lymphocyte"] * 3)
    runs.retry_later(lab, taken(lab, ids["retried"]), code="net", cause="slow", delay_s=0, counts=True, decide=decide)
    runs.fail(lab, taken(lab, ids["quarantined"]), code="bad", cause="torn", remedy="scan again", decide=decide)
    with transaction(lab) as conn:
        runs.cancel(conn, ids["withdrawn"], decide, "wrong patient")
        runs.mark_missing(conn, scalar(lab, "SELECT id FROM slide WHERE key = 'lab/patient/missing.tif'"), decide)
        add(conn, stored("lab/patient/old.tif", etag="e2"))
        found = reports.slides(conn)
    short = {(one.key.split("/")[-1][:-4], one.state, one.error_code, one.reason, one.cells) for one in found}
    assert short == {
        ("waiting", "waiting", None, None, None),
        ("reading", "reading", None, None, None),
        ("retried", "waiting", "net", "slow", None),
        ("done", "done", None, None, 3),
        ("quarantined", "quarantined", "bad", "torn", None),
        ("withdrawn", "cancelled", "withdrawn", "wrong patient", None),
        ("missing", "waiting", "missing", "the object is gone from the bucket", None),
        ("old", "cancelled", "superseded", "another object stands under its key", None),
        ("old", "waiting", None, None, None),
    }


def test_quarantined_slides_come_with_their_remedy(lab: Engine) -> None:
    run_id = add_slide(lab, "bad")
    add_slide(lab, "good")
    runs.fail(lab, taken(lab, run_id), code="torn", cause="half a file", remedy="upload again", decide=decide)
    with transaction(lab) as conn:
        (found,) = reports.quarantined(conn)
    assert (found.error_code, found.reason, found.remedy) == ("torn", "half a file", "upload again")
    assert (found.slide_id, found.run_id, found.attempts) == (1, run_id, 1)


def test_a_finished_slide_shows_its_scale_and_progress(lab: Engine) -> None:
    read(lab, add_slide(lab))
    with transaction(lab) as conn:
        (found,) = reports.slides(conn, state="done")
    assert (found.mpp_um, found.mpp_source, found.batches_written, found.batches) == (0.25, "header", 1, 1)


def test_runs_are_reported_past_ones_too(lab: Engine) -> None:
    read(lab, add_slide(lab))
    with transaction(lab) as conn:
        add(conn, stored("lab/patient/a.tif", etag="e2"))
        found = reports.runs(conn)
    assert [(run.run_id, run.state, run.cells) for run in found] == [(1, "cancelled", 1), (2, "pending", None)]


def test_cells_of_an_unfinished_run_are_invisible(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, batch(classes=["lymphoblast"]))
    with transaction(lab) as conn:
        assert cell_reports.cells(conn) == []
        assert cell_reports.differential(conn) == []
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        assert len(cell_reports.cells(conn)) == len(cell_reports.differential(conn)) == 1
        add(conn, stored("lab/patient/a.tif", etag="e2"))
        assert cell_reports.cells(conn) == []


def test_a_cell_is_reported_with_named_values(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphoblast", "smudge"])
    with transaction(lab) as conn:
        (found,) = cell_reports.cells(conn, patient="patient", cell_class="smudge")
    assert found.probabilities == pytest.approx(
        {"lymphoblast": 0.1, "plasma_cell": 0.1, "lymphocyte": 0.1, "smudge": 0.7}
    )
    assert found.probability == pytest.approx(0.7)
    assert found.features == {"area_um2": 101.0, "solidity": 0.5}
    assert found.outline_l0 == [1, 0, 5, 0, 1, 4]


@pytest.mark.parametrize(("limit", "offset"), [(None, 0), (3, 0), (3, 2), (4, 3), (2, 6), (2, 99)])
def test_pages_of_cells_are_pieces_of_all_of_them(lab: Engine, limit: int | None, offset: int) -> None:
    for name in ("a", "b"):
        claim = taken(lab, add_slide(lab, name))
        runs.store_plan(lab, claim, plan(n_batches=2))
        for no in range(2):
            runs.write_batch(lab, claim, batch(no, ["lymphoblast", "lymphocyte"]))
        runs.finish(lab, claim, decide)
    everything = [(run, no, cell) for run in (1, 2) for no in range(2) for cell in range(2)]
    with transaction(lab) as conn:
        found = cell_reports.cells(conn, patient="patient", limit=limit, offset=offset)
        classes = {one.cell_no for one in cell_reports.cells(conn, cell_class="lymphocyte", limit=limit, offset=offset)}
    page = everything[offset:] if limit is None else everything[offset : offset + limit]
    assert [(one.run_id, one.batch_no, one.cell_no) for one in found] == page
    assert classes <= {1}


def test_the_differential_has_abstained_cells_below_the_line(lab: Engine) -> None:
    with transaction(lab) as conn:
        run_id = add(conn, stored(), specimen=Specimen.BLOOD)
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan())
    cells = (cell(0, "lymphoblast"), cell(1), cell(2), cell(3, abstained=True), cell(4, "smudge"))
    runs.write_batch(lab, claim, Batch(no=0, cells=cells))
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        found = cell_reports.differential(conn)
    assert [(one.specimen, one.cell_class, one.called, one.abstained, one.share) for one in found] == [
        ("blood", "lymphoblast", 1, 0, 0.25),
        ("blood", "lymphocyte", 2, 1, 0.5),
        ("blood", "smudge", 1, 0, None),
    ]


def test_the_overview_counts_runs_and_finds_the_oldest_waiting(lab: Engine) -> None:
    with transaction(lab) as conn:
        assert reports.overview(conn) == reports.Overview(runs={}, oldest_waiting_at=None)
    read(lab, add_slide(lab, "a"))
    add_slide(lab, "b")
    with transaction(lab) as conn:
        found = reports.overview(conn)
    assert found.runs == {"done": 1, "pending": 1}
    assert found.oldest_waiting_at == scalar(lab, "SELECT created_at FROM run WHERE state = 'pending'")


def test_a_query_reads_the_report_views(lab: Engine) -> None:
    add_slide(lab)
    columns, rows = reports.query(lab, "SELECT patient, slides_open AS n, 5 % 3 AS r FROM patients;")
    assert (columns, rows) == (["patient", "n", "r"], [("patient", 1, 2)])
    assert reports.query(lab, "WITH a AS (SELECT 1 AS x) SELECT x FROM a WHERE 'a:b' = 'a:b'") == (["x"], [(1,)])


def test_an_answer_of_any_size_comes_in_parts(lab: Engine) -> None:
    with answered(lab, "SELECT n, n::text AS t FROM generate_series(1, 25) AS n", at_once=10) as answer:
        assert (answer.columns, answer.kinds) == (("n", "t"), (23, 25))
        assert [len(part) for part in answer.parts] == [10, 10, 5]
    with answered(lab, "SELECT 1 WHERE false") as answer:
        assert list(answer.parts) == [[]]


def test_a_part_that_fails_is_told_like_the_first(lab: Engine) -> None:
    with (
        pytest.raises(QueryError, match="division by zero"),
        answered(lab, "SELECT 1 / (15 - n) FROM generate_series(1, 20) AS n", at_once=10) as answer,
    ):
        list(answer.parts)


REFUSED = [
    "DELETE FROM public.verdict",
    "DELETE FROM public.verdict RETURNING 1",
    "WITH gone AS (DELETE FROM public.verdict RETURNING 1) SELECT * FROM gone",
    "SELECT 1; DELETE FROM public.verdict",
    "SELECT 1; COMMIT; DELETE FROM public.verdict",
    "COMMIT",
    "RESET ROLE",
    "CREATE TABLE mine (x int)",
    "SELECT * FROM public.patient",
    "SELECT nextval('public.slide_id_seq')",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "COPY public.verdict TO '/dev/null'",
    "SELECT nonsense",
    "",
]


def test_a_query_can_only_read_the_views(lab: Engine) -> None:
    add_slide(lab)
    assert [sql for sql in REFUSED if _refused(lab, sql)] == REFUSED
    assert scalar(lab, "SELECT count(*) FROM verdict") == 1


def _refused(engine: Engine, sql: str) -> bool:
    try:
        reports.query(engine, sql)
    except QueryError:
        return True
    return False


def test_a_query_is_stopped_by_its_time_and_its_size(lab: Engine) -> None:
    with pytest.raises(QueryError, match="timeout"):
        reports.query(lab, "SELECT pg_sleep(5)", timeout_s=0.2)
    with pytest.raises(QueryError, match="more than 10 rows"):
        reports.query(lab, "SELECT * FROM generate_series(1, 11)", max_rows=10)
    assert len(reports.query(lab, "SELECT * FROM generate_series(1, 10)", max_rows=10)[1]) == 10
