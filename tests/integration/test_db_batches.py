"""What a claimed run writes: whole batches or nothing, once however often they come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from db import batches, runs
from db.cell_tables import PARTITIONS
from db.counts import BatchCount, Stop
from db.errors import BadOutputError, NotAllowedError
from db.records import Area, Batch, Cell, Claim, TileDefect
from db.session import transaction
from tests.support.invariants import violations
from tests.support.rows import add_slide, batch, cell, decide, plan, read, scalar, taken


@pytest.fixture
def claim(lab: Engine) -> Claim:
    """A claimed run whose plan has two batches."""
    found = taken(lab, add_slide(lab))
    runs.store_plan(lab, found, plan(n_batches=2))
    return found


def test_every_value_of_a_cell_comes_back_as_it_went(lab: Engine, claim: Claim) -> None:
    written = (cell(1, "smudge", abstained=True), cell(0, "lymphoblast"), cell(2))
    runs.write_batch(lab, claim, Batch(no=1, cells=written))
    with transaction(lab) as conn:
        rows = conn.exec_driver_sql(
            "SELECT c.*, o.points_l0 FROM cell c JOIN outline o USING (run_id, batch_no, cell_no) ORDER BY cell_no"
        ).all()
    assert tuple(rows[0])[:7] == (claim.run_id, 1, 0, 0.0, 20.25, "lymphoblast", False)
    assert rows[0].probabilities == pytest.approx([0.7, 0.1, 0.1, 0.1])
    assert rows[0].features == [100.0, 0.5]
    assert rows[0].points_l0 == [0, 0, 4, 0, 0, 4]
    assert [(row.cell_class, row.abstained) for row in rows[1:]] == [("smudge", True), ("lymphocyte", False)]
    assert scalar(lab, "SELECT feature_names FROM run") == ["area_um2", "solidity"]


def test_a_cell_may_come_without_features_and_outline(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, Batch(no=0, cells=(replace(cell(0), features={}, outline_l0=()),)))
    assert scalar(lab, "SELECT features FROM cell") == []
    assert scalar(lab, "SELECT count(*) FROM outline") == 0


def test_a_batch_written_again_replaces_itself(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(0, ["smudge"] * 5))
    runs.write_batch(lab, claim, batch(1, ["smudge"] * 2))
    runs.write_batch(lab, claim, batch(0, ["lymphocyte"] * 3))
    counts = "(SELECT count(*) FROM cell), (SELECT count(*) FROM outline), (SELECT sum(n_cells) FROM batch)"
    with transaction(lab) as conn:
        assert tuple(conn.exec_driver_sql(f"SELECT {counts}").one()) == (5, 5, 5)


def test_an_empty_batch_counts_as_written(lab: Engine, claim: Claim) -> None:
    for no in (0, 1):
        runs.write_batch(lab, claim, Batch(no=no, cells=()))
    runs.finish(lab, claim, decide)
    assert scalar(lab, "SELECT n_cells FROM run") == 0


WRONG: dict[str, Callable[[Cell], Cell]] = {
    "NaN probability": lambda c: replace(c, probabilities=(math.nan, 0.1, 0.1, 0.1)),
    "probability above 1": lambda c: replace(c, probabilities=(2.0, 0.1, 0.1, 0.1)),
    "negative probability": lambda c: replace(c, probabilities=(-0.1, 0.1, 0.1, 0.1)),
    "no probability": lambda c: replace(c, probabilities=()),
    "another number of probabilities": lambda c: replace(c, probabilities=(0.5,)),
    "unknown class": lambda c: replace(c, cell_class="unicorn"),
    "NaN feature": lambda c: replace(c, features={"area_um2": math.nan, "solidity": 0.5}),
    "infinite feature": lambda c: replace(c, features={"area_um2": math.inf, "solidity": 0.5}),
    "other features": lambda c: replace(c, features={"roundness": 1.0}),
    "NaN centroid": lambda c: replace(c, x_l0=math.nan),
    "negative centroid": lambda c: replace(c, y_l0=-1.0),
    "number used twice": lambda c: replace(c, cell_no=0),
    "outline of two points": lambda c: replace(c, outline_l0=((0, 0), (1, 1))),
}


def test_one_wrong_cell_keeps_its_whole_batch_out(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(0))
    assert [fault for fault, spoil in WRONG.items() if _refused(lab, claim, spoil(cell(1)))] == list(WRONG)
    assert scalar(lab, "SELECT count(*) FROM cell") == 1
    assert scalar(lab, "SELECT count(*) FROM batch") == 1


def _refused(engine: Engine, claim: Claim, wrong: Cell) -> bool:
    try:
        runs.write_batch(engine, claim, Batch(no=1, cells=(cell(0), wrong)))
    except BadOutputError:
        return True
    return False


def test_a_refused_row_is_not_quoted(lab: Engine, claim: Claim) -> None:
    with pytest.raises(BadOutputError) as caught:
        runs.write_batch(lab, claim, Batch(no=0, cells=(replace(cell(0), cell_class="secret"),)))
    assert "secret" not in str(caught.value)


def test_later_batches_must_have_the_features_of_the_first(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(0))
    with pytest.raises(BadOutputError, match="features"):
        runs.write_batch(lab, claim, Batch(no=1, cells=(replace(cell(0), features={"other": 1.0}),)))


@pytest.mark.parametrize("no", [2, -1])
def test_a_number_beyond_the_plan_is_refused(lab: Engine, claim: Claim, no: int) -> None:
    with pytest.raises(NotAllowedError):
        runs.write_batch(lab, claim, batch(no))


def test_a_run_with_a_missing_batch_is_not_done(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(1))
    with pytest.raises(NotAllowedError, match="1 of 2 batches are not written, first 0"):
        runs.finish(lab, claim, decide)
    assert scalar(lab, "SELECT state FROM run") == "running"


def test_a_run_without_a_plan_is_not_done(lab: Engine) -> None:
    with pytest.raises(NotAllowedError, match="no plan"):
        runs.finish(lab, taken(lab, add_slide(lab)), decide)


def test_the_same_plan_keeps_batches_and_another_one_deletes_them(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(1))
    assert runs.store_plan(lab, claim, plan(n_batches=2)) == {1}
    assert runs.store_plan(lab, claim, plan(n_batches=2, digest="plan-2")) == frozenset()
    assert scalar(lab, "SELECT count(*) FROM cell") == 0


def test_the_plan_and_its_scale_are_kept(lab: Engine, claim: Claim) -> None:
    runs.release(lab, claim)
    with transaction(lab) as conn:
        row = conn.exec_driver_sql("SELECT plan, mpp_um, mpp_source, sha256 FROM run JOIN slide ON true").one()
    assert tuple(row) == ({"tiles": 2}, 0.25, "header", "b" * 64)
    assert taken(lab, claim.run_id).sha256 == "b" * 64


def test_what_is_known_of_a_reading_is_reported(lab: Engine, claim: Claim) -> None:
    area = Area(kind="monolayer", x_l0=64, y_l0=0, width_l0=640, height_l0=128, mm2=0.5)
    shares = {"countable": 0.25, "ink": 0.75}
    told = replace(plan(n_batches=2, digest="plan-2"), areas=(area, area), area_shares=shares, reader="tiled-jpeg")
    runs.store_plan(lab, claim, replace(told, sandbox="full", mpp_source="estimated", mpp_error_um=0.01))
    row = scalar(lab, "SELECT (mpp_source, mpp_error_um, reader, sandbox, countable_share, areas_mm2) FROM report.runs")
    assert row == "(estimated,0.01,tiled-jpeg,full,0.25,1)"
    assert scalar(lab, "SELECT sum(width_l0) FROM report.areas") == 1280
    assert scalar(lab, "SELECT share FROM report.area_shares WHERE reason = 'ink'") == 0.75
    runs.store_plan(lab, claim, plan(n_batches=2, digest="plan-3"))
    assert scalar(lab, "SELECT count(*) FROM area") == 0


def test_of_several_holders_the_weakest_sandbox_is_told(lab: Engine, claim: Claim) -> None:
    for reached, told in (("full", "full"), ("weak", "weak"), ("strong", "weak")):
        runs.store_plan(lab, claim, replace(plan(n_batches=2, digest="plan-2"), sandbox=reached))
        assert scalar(lab, "SELECT sandbox FROM run") == told


def test_a_defect_stands_and_falls_with_its_batch(lab: Engine, claim: Claim) -> None:
    torn = TileDefect(
        tile_no=7, x_l0=0, y_l0=64, width_l0=1024, height_l0=960, code="unreadable_region", cause="bad data"
    )
    runs.write_batch(lab, claim, replace(batch(1), defects=(torn,)))
    assert scalar(lab, "SELECT (tile_no, height_l0, error_code, reason) FROM report.tile_defects") == (
        '(7,960,unreadable_region,"bad data")'
    )
    assert scalar(lab, "SELECT tile_defects FROM report.slides") == batches.defects(lab, claim) == 1
    runs.write_batch(lab, claim, batch(1))
    assert batches.defects(lab, claim) == 0


def test_finish_counts_classes_with_abstained_cells_apart(lab: Engine, claim: Claim) -> None:
    cells = (cell(0), cell(1), cell(2, abstained=True), cell(3, "smudge"))
    runs.write_batch(lab, claim, Batch(no=0, cells=cells))
    runs.write_batch(lab, claim, batch(1, ["lymphoblast"]))
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        rows = conn.exec_driver_sql("SELECT cell_class, called, abstained, counted FROM run_count ORDER BY 1")
        assert [tuple(row) for row in rows] == [
            ("lymphoblast", 1, 0, True),
            ("lymphocyte", 2, 1, True),
            ("smudge", 1, 0, False),
        ]
    assert scalar(lab, "SELECT n_cells FROM run") == 5


STOP = Stop(n_read=2, rule="adaptive", look=3, cells=4, share=0.25, reason="below every threshold")


def test_written_batches_are_counted_as_a_rule_counts_them(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, Batch(no=1, cells=()))
    cells = (cell(0), cell(1), cell(2, abstained=True), cell(3, "smudge"), cell(4, "smudge", abstained=True))
    runs.write_batch(lab, claim, Batch(no=0, cells=(*cells, cell(5, "lymphoblast"))))
    assert batches.counts(lab, claim) == [
        BatchCount(no=0, called={"lymphoblast": 1, "lymphocyte": 2}, abstained=1),
        BatchCount(no=1),
    ]


def test_a_run_that_stopped_early_is_done_with_its_batches_up_to_there(lab: Engine, claim: Claim) -> None:
    runs.store_plan(lab, claim, plan(n_batches=4, digest="plan-4"))
    for no in (0, 1, 3):  # the last is of nobody who carries out the plan
        runs.write_batch(lab, claim, batch(no, ["lymphocyte"] * (no + 1)))
    runs.finish(lab, claim, decide, STOP)
    told = "(batches, batches_read, stop_rule, stop_look, stop_cells, stop_reason, change_reason, cells)"
    assert scalar(lab, f"SELECT {told} FROM report.runs") == (
        '(4,2,adaptive,3,4,"below every threshold","below every threshold",3)'
    )
    assert scalar(lab, "SELECT array_agg(DISTINCT batch_no) FROM report.cells") == [0, 1]
    with transaction(lab) as conn:
        assert violations(conn) == []


@pytest.mark.parametrize("n_read", [0, 3, 5])
def test_a_stop_is_refused_that_batches_are_missing_before_or_that_the_plan_has_not(
    lab: Engine, claim: Claim, n_read: int
) -> None:
    runs.store_plan(lab, claim, plan(n_batches=4, digest="plan-4"))
    for no in (0, 1, 3):
        runs.write_batch(lab, claim, batch(no))
    with pytest.raises(NotAllowedError, match="cannot be done"):
        runs.finish(lab, claim, decide, replace(STOP, n_read=n_read))
    assert scalar(lab, "SELECT (state, (SELECT count(*) FROM batch)) FROM run") == "(running,3)"


def test_a_run_that_stopped_early_forgets_it_when_it_is_read_again(lab: Engine, claim: Claim) -> None:
    for no in (0, 1):
        runs.write_batch(lab, claim, batch(no))
    runs.finish(lab, claim, decide, STOP)
    with transaction(lab) as conn:
        runs.cancel(conn, claim.run_id, decide, "count all of it")
        runs.requeue(conn, claim.run_id, decide)
    assert scalar(lab, "SELECT num_nulls(batches_read, stop_rule, stop_look, stop_reason) FROM report.runs") == 4


def test_cells_of_different_runs_lie_in_different_partitions(lab: Engine) -> None:
    for number in range(6):
        read(lab, add_slide(lab, str(number)))
    assert 1 < scalar(lab, "SELECT count(DISTINCT tableoid) FROM cell") <= PARTITIONS
