from __future__ import annotations

from collections.abc import Sequence

import pytest

from db.records import Cell, CellClass
from tests.support.called_cells import called_cell, field_of
from worker.predict import Prediction, Scale, judge

BLAST, PLASMA, NEUTROPHIL = CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL, CellClass.NEUTROPHIL
SCALE = Scale(mpp_um=0.25, source="declared")


def judged(*cells: Cell | Sequence[Cell]) -> Prediction:
    return judge(field_of(*cells), SCALE)


def test_a_field_of_lymphoblasts_is_consistent_with_all() -> None:
    found = judged([called_cell(BLAST)] * 12, [called_cell(NEUTROPHIL)] * 4)
    assert (found.cancer, found.disease) == (True, "ALL")
    assert found.probability == pytest.approx(1.0, abs=1e-3)
    assert "12 lymphoblasts and no plasma cells of 16 counted cells" in found.reason
    assert "not established" in found.reason


def test_a_field_of_plasma_cells_is_consistent_with_mm() -> None:
    found = judged([called_cell(PLASMA)] * 6, [called_cell(NEUTROPHIL)] * 9)
    assert (found.cancer, found.disease) == (True, "MM")


def test_a_usual_field_shows_no_sign_and_says_how_little_that_excludes() -> None:
    found = judged([called_cell(NEUTROPHIL)] * 20)
    assert (found.cancer, found.disease) == (False, None)
    assert found.probability is not None
    assert found.probability < 0.05
    assert "20 cells exclude no share below 17%" in found.reason


def test_one_usual_cell_is_an_answer_of_little_weight() -> None:
    found = judged(called_cell(NEUTROPHIL))
    assert found.cancer is False
    assert "1 cell excludes no share below 98%" in found.reason


def test_one_suspected_cell_is_no_answer() -> None:
    found = judged(called_cell(BLAST), [called_cell(NEUTROPHIL)] * 3)
    assert found.cancer is None
    assert found.reason.startswith("undecided between absence and ALL, as a raised share of so few cells may be chance")


def test_a_field_that_the_model_would_not_call_is_doubted() -> None:
    unsure = called_cell(BLAST, abstained=True)
    found = judged([called_cell(BLAST)] * 4, [unsure] * 6)
    assert (found.cancer, found.probability) == (None, None)
    assert "would not call 6 of 10 cells, so check that this is a stained smear" in found.reason


def test_blasts_of_another_lineage_are_no_absence() -> None:
    found = judged([called_cell(CellClass.BLAST_OTHER)] * 5, [called_cell(NEUTROPHIL)] * 15)
    assert found.cancer is None
    assert "5 of 20 cells are called blasts of another lineage" in found.reason


def test_two_diseases_at_once_leave_the_type_open() -> None:
    found = judged([called_cell(BLAST)] * 10, [called_cell(PLASMA)] * 10)
    assert (found.cancer, found.disease) == (True, None)


def test_a_field_without_cells_is_no_answer() -> None:
    found = judged(called_cell(CellClass.PLATELET))
    assert (found.cancer, found.probability, found.inference) == (None, None, None)
    assert "no nucleated cell" in found.reason
