"""worker.drawing.surroundings: red cells, platelets and deposits keep off the nucleated cells."""

from __future__ import annotations

import numpy as np
import pytest

from db.records import CellClass
from worker.drawing.cells import draw_cell
from worker.drawing.placement import Laid
from worker.drawing.stain import Stain
from worker.drawing.surroundings import pour_red_cells, strew_small

STAIN = Stain.usual()


@pytest.fixture
def cell() -> Laid:
    sprite = draw_cell(CellClass.MONOCYTE, np.random.default_rng(1), mpp_um=0.25, stain=STAIN)
    return Laid(sprite=sprite, left=200, top=150)


def test_red_cells_lie_beside_the_nucleated_ones(cell: Laid) -> None:
    canvas = np.full((400, 500, 3), 255, np.uint8)
    pour_red_cells(canvas, np.random.default_rng(2), per_mm2=30_000, mpp_um=0.25, stain=STAIN, around=[cell])
    x_px, y_px = (round(v) for v in cell.centre)
    reach = round(cell.radius_px * 0.6)
    assert (canvas[y_px - reach : y_px + reach, x_px - reach : x_px + reach] == 255).all()
    assert (canvas[..., 1] < 240).mean() > 0.3


def test_red_cells_leave_no_empty_margin() -> None:
    canvas = np.full((300, 300, 3), 255, np.uint8)
    pour_red_cells(canvas, np.random.default_rng(2), per_mm2=30_000, mpp_um=0.25, stain=STAIN, around=[])
    for edge in (canvas[0], canvas[-1], canvas[:, 0], canvas[:, -1]):
        assert (edge[:, 1] < 240).any()


@pytest.mark.parametrize("kind", [CellClass.PLATELET, CellClass.ARTEFACT])
def test_small_bodies_are_whole_and_beside_the_cells(cell: Laid, kind: CellClass) -> None:
    laid = strew_small(
        np.random.default_rng(3),
        kind=kind,
        per_mm2=2500,
        size_px=(500, 400),
        mpp_um=0.25,
        stain=STAIN,
        around=[cell],
    )
    assert len(laid) > 10
    for one in laid:
        height, width = one.sprite.cell.shape
        assert 0 <= one.left <= 500 - width
        assert 0 <= one.top <= 400 - height
        apart = np.hypot(*np.subtract(one.centre, cell.centre))
        assert apart > cell.radius_px + min(height, width) / 2 - 2


def test_none_where_the_field_is_smaller_than_they_are() -> None:
    laid = strew_small(
        np.random.default_rng(3),
        kind=CellClass.ARTEFACT,
        per_mm2=1e6,
        size_px=(16, 16),
        mpp_um=0.25,
        stain=STAIN,
        around=[],
    )
    assert laid == []
