"""worker.drawing.truth: the document beside a drawn slide."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.records import CellClass
from worker.drawing.truth import SlideTruth, TrueCell, read_truth, truth_path, write_truth
from worker.errors import BadRequestError

CELL = TrueCell(
    x_l0=10.5,
    y_l0=2.0,
    cell_class=CellClass.MONOCYTE,
    nucleus_area_um2=80.0,
    cell_area_um2=190.25,
    touching=True,
)
TRUTH = SlideTruth(width_px=640, height_px=480, mpp_um=0.25, seed=3, cells=(CELL, CELL), uncounted=())


def test_truth_comes_back_as_written(tmp_path: Path) -> None:
    path = write_truth(tmp_path / "slide-1.tif", TRUTH)
    assert path == truth_path(tmp_path / "slide-1.tif") == tmp_path / "slide-1.truth.json"
    assert read_truth(tmp_path / "slide-1.tif") == TRUTH
    assert TRUTH.composition == {CellClass.MONOCYTE: 2}


def test_document_says_that_no_patient_is_behind_it(tmp_path: Path) -> None:
    assert "research use only" in write_truth(tmp_path / "s.tif", TRUTH).read_text()


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", '{"format": "other"}', '{"format": "marrowline drawn smear 1"}']
)
def test_other_documents_are_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        truth_path(tmp_path / "s.tif").write_text(text)
    with pytest.raises(BadRequestError, match=r"s\.truth\.json"):
        read_truth(tmp_path / "s.tif")
