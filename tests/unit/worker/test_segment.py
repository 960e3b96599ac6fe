from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import CellClass
from tests.support.painted import (
    CHROMATIN,
    MPP_UM,
    Disc,
    field,
    lymphocyte,
    neutrophil,
    plasma_cell,
    red_cell,
)
from worker.cells.segment import CellMask, fit_stain, segment
from worker.cells.stain import Pixels, StainFit
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear

HALO_PX = 128
TILE_PX = 448
RED_CELLS = [disc for x in range(30, 600, 50) for disc in red_cell(x, 370)]


def cells_of(discs: list[Disc]) -> list[CellMask]:
    image = field(600, 400, [*RED_CELLS, *discs])
    return segment(image, fit_stain(image, MPP_UM), MPP_UM)


def is_at(cell: CellMask, x: int, y: int) -> bool:
    at_x, at_y = cell.centre_tile
    return abs(at_x - x) <= 1 and abs(at_y - y) <= 1


@cache
def drawn() -> tuple[DrawnSmear, StainFit, list[CellMask]]:
    composition = {
        CellClass.NEUTROPHIL: 18,
        CellClass.LYMPHOBLAST: 14,
        CellClass.PLASMA_CELL: 12,
        CellClass.ERYTHROBLAST: 10,
        CellClass.MONOCYTE: 6,
        CellClass.EOSINOPHIL: 5,
    }
    spec = SmearSpec(width_px=1088, height_px=960, mpp_um=MPP_UM, seed=21, composition=composition, touching=0.4)
    smear = draw_smear(spec)
    fit = fit_stain(smear.rgb, MPP_UM)
    return smear, fit, segment(smear.rgb, fit, MPP_UM)


def as_seen(cell: CellMask, x: int, y: int) -> tuple[object, ...]:
    """Return all that a cell is, in the coordinates of the whole picture."""
    sums = (cell.sum_x + x * cell.count, cell.sum_y + y * cell.count, cell.count, cell.lobes)
    return (*sums, cell.x_tile + x, cell.y_tile + y, cell.nucleus.tobytes(), cell.cell.tobytes())


def deep_inside(cells: list[CellMask], x: int, y: int) -> set[tuple[object, ...]]:
    """Return the cells whose centres lie in the core of the tile at (x, y)."""
    low_x, low_y, core = x + HALO_PX, y + HALO_PX, TILE_PX - 2 * HALO_PX
    found = set()
    for cell in cells:
        at_x, at_y = cell.centre_tile
        if low_x <= at_x < low_x + core and low_y <= at_y < low_y + core:
            found.add(as_seen(cell, 0, 0))
    return found


def test_each_cell_is_found_once_where_it_lies() -> None:
    places = {(80, 80): 1, (212, 80): 1, (330, 80): 3, (480, 200): 1}
    cells = cells_of([*lymphocyte(80, 80), *plasma_cell(200, 80), *neutrophil(330, 80), *lymphocyte(480, 200)])
    assert len(cells) == len(places)
    for (x, y), lobes in places.items():
        assert [cell.lobes for cell in cells if is_at(cell, x, y)] == [lobes]


def test_masks_have_the_painted_sizes() -> None:
    (cell,) = cells_of(plasma_cell(200, 100))
    assert cell.count == pytest.approx(np.pi * 15**2, rel=0.1)
    assert np.count_nonzero(cell.cell) == pytest.approx(np.pi * 30**2, rel=0.15)
    assert not (cell.nucleus & ~cell.cell).any()


def test_sums_are_those_of_the_nucleus_in_tile_pixels() -> None:
    (cell,) = cells_of(neutrophil(200, 100))
    rows, columns = np.nonzero(cell.nucleus)
    assert (cell.sum_x, cell.sum_y) == (columns.sum() + cell.x_tile * len(rows), rows.sum() + cell.y_tile * len(rows))
    assert cell.count == len(rows)


def test_touching_cells_are_two_with_disjoint_masks() -> None:
    one, two = cells_of([*lymphocyte(100, 100), *lymphocyte(130, 108)])
    canvas = np.zeros((400, 600), int)
    for cell in (one, two):
        height, width = cell.cell.shape
        canvas[cell.y_tile : cell.y_tile + height, cell.x_tile : cell.x_tile + width] += cell.cell
    assert canvas.max() == 1


def test_platelets_specks_red_cells_and_ink_are_no_cells() -> None:
    ink: list[Disc] = [(450, 150, 70, (15, 15, 20))]
    clump: list[Disc] = [(150, 200, 46, CHROMATIN)]  # 23 µm wide
    fibre: list[Disc] = [(420 + x, 250 + x // 3, 5, CHROMATIN) for x in range(0, 130, 2)]
    platelets: list[Disc] = [(40 + 40 * i, 40, 4 + i % 3, (150, 95, 180)) for i in range(10)]
    (cell,) = cells_of([*lymphocyte(300, 320), *platelets, *ink, *clump, *fibre])
    assert is_at(cell, 300, 320)


def test_a_small_nucleus_counts_only_when_it_is_dense() -> None:
    others = [*lymphocyte(80, 80), *lymphocyte(200, 80)]
    pyknotic: list[Disc] = [(300, 200, 16, (190, 175, 205)), (300, 200, 7.5, (60, 20, 110))]
    pale: list[Disc] = [(400, 200, 7.5, (150, 95, 180))]
    assert any(is_at(cell, 300, 200) for cell in cells_of([*others, *pyknotic]))
    assert len(cells_of([*others, *pale])) == len(others) // 2


def test_a_cell_that_reaches_the_edge_is_left_out() -> None:
    image = field(600, 400, [*RED_CELLS, *lymphocyte(300, 200)])
    fit = fit_stain(image, MPP_UM)
    assert len(segment(image[:, :320], fit, MPP_UM)) == 1
    assert not segment(image[:, :305], fit, MPP_UM)
    assert not segment(image[205:], fit, MPP_UM)


@pytest.mark.parametrize("value", [0, 200, 255])
def test_a_blank_tile_has_no_cells(value: int) -> None:
    _, fit, _ = drawn()
    assert segment(np.full((200, 220, 3), value, np.uint8), fit, MPP_UM) == []


def test_the_drawn_cells_are_found_one_for_one() -> None:
    smear, _, cells = drawn()
    hits = [smear.cells[y, x] for x, y in (cell.centre_tile for cell in cells) if smear.cells[y, x]]
    assert len(set(hits)) >= len(smear.truth) - 1
    assert len(hits) - len(set(hits)) <= 1


def test_the_drawn_masks_are_matched() -> None:
    smear, _, cells = drawn()
    nuclei, bodies = np.zeros(smear.nuclei.shape, bool), np.zeros(smear.nuclei.shape, bool)
    for cell in cells:
        height, width = cell.cell.shape
        place = np.s_[cell.y_tile : cell.y_tile + height, cell.x_tile : cell.x_tile + width]
        nuclei[place] |= cell.nucleus
        bodies[place] |= cell.cell
    for found, truth, least in ((nuclei, smear.nuclei > 0, 0.92), (bodies, smear.cells > 0, 0.9)):
        assert 2 * np.count_nonzero(found & truth) / (found.sum() + truth.sum()) > least


@given(x=st.integers(0, 1088 - TILE_PX), y=st.integers(0, 960 - TILE_PX))
@settings(max_examples=25, deadline=None)
def test_a_cell_is_the_same_in_every_tile_that_shows_it(x: int, y: int) -> None:
    smear, fit, cells = drawn()
    tile: Pixels = np.ascontiguousarray(smear.rgb[y : y + TILE_PX, x : x + TILE_PX])
    core = range(HALO_PX, TILE_PX - HALO_PX)
    seen = [c for c in segment(tile, fit, MPP_UM) if c.centre_tile[0] in core and c.centre_tile[1] in core]
    assert {as_seen(cell, x, y) for cell in seen} == deep_inside(cells, x, y)
