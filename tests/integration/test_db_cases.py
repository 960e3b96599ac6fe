"""What outputs rest on: a patient's case, and the cells of a run one after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from db import runs
from db.cases import case_of, cells_of
from db.errors import NotAllowedError, NotFoundError
from db.records import Batch
from db.session import transaction
from tests.support.rows import CLASSES, add_slide, batch, cell, decide, plan, read, stored, taken


def test_a_case_holds_the_finding_its_evidence_and_every_slide(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphoblast", "lymphocyte"])
    add_slide(lab, "b")
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
    assert (case.report.finding, case.evidence, case.model.model_version) == ("consistent_with_ALL", {}, "m1")
    first, second = case.slides
    assert (first.obj, first.state, first.cells, first.n_batches) == (stored(), "done", 2, 1)
    assert first.plan == plan().document
    assert first.feature_names == ("area_um2", "solidity")
    assert (second.state, second.run_id is None, second.cells, second.plan) == ("waiting", False, None, None)
    assert case.read == (first,)


def test_who_is_not_known_or_known_twice_is_said(lab: Engine) -> None:
    with transaction(lab) as conn, pytest.raises(NotFoundError, match="no patient 'nobody'"):
        case_of(conn, "nobody")
    read(lab, add_slide(lab), ["lymphoblast"])
    add_slide(lab, lab="other")
    with transaction(lab) as conn:
        with pytest.raises(NotAllowedError, match="2 labs know"):
            case_of(conn, "patient")
        assert case_of(conn, "patient", "other").slides[0].obj.key == "other/patient/a.tif"


def test_cells_come_in_order_with_their_outlines_and_only_of_finished_runs(lab: Engine) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan(n_batches=2))
    outlined = replace(cell(0, "plasma_cell"), outline_l0=((1, 1), (5, 1), (5, 5)))
    runs.write_batch(lab, claim, batch(1, ["lymphocyte", "smudge"]))
    runs.write_batch(lab, claim, Batch(no=0, cells=(outlined,)))
    with transaction(lab) as conn:
        assert list(cells_of(conn, run_id)) == []
    runs.finish(lab, claim, decide)
    with transaction(lab) as conn:
        found = list(cells_of(conn, run_id))
    assert [(one.batch_no, one.cell_no, one.cell_class) for one in found] == [
        (0, 0, "plasma_cell"), (1, 0, "lymphocyte"), (1, 1, "smudge"),
    ]  # fmt: skip
    assert [one.outline_l0 for one in found[:1]] == [(1, 1, 5, 1, 5, 5)]
    assert all(len(one.probabilities) == len(CLASSES) and one.probability == max(one.probabilities) for one in found)
