from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import Batch, Cell, TileDefect
from worker.proof.cells import PLACE_PX, compared

CLASSES = ("lymphoblast", "lymphocyte")
places = st.tuples(st.integers(0, 500), st.integers(0, 500))


def cell(no: int, x: float, y: float, **other: Any) -> Cell:
    known = {"cell_class": CLASSES[no % 2], "probabilities": (0.75, 0.25), "features": {"cell_area_um2": 80.0 + no}}
    return Cell(cell_no=no, x_l0=x, y_l0=y, abstained=False, **{**known, **other})


def batch(*cells: Cell, defects: tuple[TileDefect, ...] = ()) -> Batch:
    return Batch(no=3, cells=cells, defects=defects)


def differences(stored: Batch, again: Batch) -> list[str]:
    return [one for one in compared(stored, again) if one is not None]


@given(at=st.lists(places, unique=True, max_size=12), data=st.data())
def test_the_same_cells_agree_in_any_order_and_as_much_apart_as_is_allowed(
    at: list[tuple[int, int]], data: st.DataObject
) -> None:
    stored = [cell(no, x, y) for no, (x, y) in enumerate(at)]
    shift = data.draw(st.floats(-0.9 * PLACE_PX, 0.9 * PLACE_PX))
    again = data.draw(st.permutations([replace(one, x_l0=one.x_l0 + shift) for one in stored]))
    assert list(compared(batch(*stored), batch(*again))) == [None] * len(stored)


@given(at=st.lists(places, unique=True, min_size=1, max_size=12), data=st.data())
def test_each_cell_that_is_missing_or_new_is_one_difference(at: list[tuple[int, int]], data: st.DataObject) -> None:
    cells = [cell(no, x, y) for no, (x, y) in enumerate(at)]
    left = data.draw(st.lists(st.sampled_from(cells), unique_by=lambda one: one.cell_no))
    gone = len(cells) - len(left)
    assert len(differences(batch(*cells), batch(*left))) == gone
    assert len(differences(batch(*left), batch(*cells))) == gone


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x_l0": 10.11}, "no cell is found there"),
        ({"y_l0": 19.89}, "no cell is found there"),
        ({"cell_class": "smudge"}, "stored as lymphoblast (0.750), called smudge (0.750)"),
        ({"abstained": True}, "called lymphoblast (0.750, abstained)"),
        ({"probabilities": (0.72, 0.28)}, "its probabilities are others"),
        ({"features": {"cell_area_um2": 80.5}}, "cell_area_um2 differ"),
        ({"features": {"other": 80.0}}, "cell_area_um2, other differ"),
    ],
)
def test_each_way_to_differ_is_named_with_the_cell(changed: dict[str, Any], said: str) -> None:
    first = cell(0, 10, 20)
    found = differences(batch(first), batch(replace(first, **changed)))
    assert found[0].startswith("batch 3, cell 0 at 10.0, 20.0: ")
    assert said in found[0]


def test_a_cell_that_is_stored_twice_is_named() -> None:
    first = cell(0, 10, 20)
    assert differences(batch(first, replace(first, cell_no=7)), batch(first)) == [
        "batch 3, cell 7 at 10.0, 20.0: stored twice"
    ]


def test_other_defects_are_a_difference() -> None:
    torn = TileDefect(tile_no=1, x_l0=0, y_l0=0, width_l0=8, height_l0=8, code="unreadable_region", cause="bad data")
    assert "1 defect tiles are stored, 0 found" in differences(batch(defects=(torn,)), batch())[0]
