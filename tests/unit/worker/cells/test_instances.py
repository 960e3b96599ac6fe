from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from db.records import CellClass
from worker.cells.instances import cells_of
from worker.cells.maps import DEPTH_PER_UM, Maps
from worker.cells.segment import CellMask
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear

MPP_UM = 0.25
HALO_PX = 128
TILE_PX = 384
FIELD_PX = 768

Labels = NDArray[np.int64]
Round = tuple[int, int, float, float]
"""x, y, radius of the cell and of its nucleus in px."""


def true_depth(labels: Labels) -> NDArray[np.float32]:
    """Return the distance of each pixel to the outside of its own cell, in steps of the map."""
    depth = np.zeros(labels.shape, np.float32)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        own = np.pad(labels[place] == number, 1).astype(np.uint8)
        distance = cv2.distanceTransform(own, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
        depth[place] = np.maximum(depth[place], distance * MPP_UM * DEPTH_PER_UM)
    return depth


def maps_of(labels: Labels, nuclei: Labels, *, blur_um: float = 0.0, noise: float = 0.0) -> Maps:
    """Return maps as a network would give that has seen the truth through a blur, with grey levels of noise."""
    rng = np.random.default_rng(5)
    planes = []
    for truth, steep in (((labels > 0) * 255.0, 3.0), ((nuclei > 0) * 255.0, 3.0), (true_depth(labels), 1.0)):
        seen = cv2.GaussianBlur(truth, (0, 0), blur_um / MPP_UM) if blur_um else truth
        seen = np.clip((seen - 127.5) * steep + 127.5, 0, 255)  # no probability lies half-way for long
        grain = cv2.GaussianBlur(rng.standard_normal(truth.shape), (0, 0), 2.0) * 7.0  # about 1 grey level
        planes.append(np.clip(np.rint(seen + noise * grain), 0, 255).astype(np.uint8))
    return Maps(cell=planes[0], nucleus=planes[1], depth=planes[2])


def painted(cells: list[Round], shape: tuple[int, int] = (240, 320)) -> Maps:
    """Return maps of round cells; where two overlap a pixel belongs to the one whose outline is further away."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = np.stack([r - np.hypot(columns - x, rows - y) for x, y, r, _ in cells])
    nucleus = np.stack([n - np.hypot(columns - x, rows - y) for x, y, _, n in cells]).max(axis=0)
    labels = np.where(inside.max(axis=0) > 0, inside.argmax(axis=0) + 1, 0)
    return maps_of(labels, np.where(nucleus > 0, labels, 0))


def with_depth(maps: Maps, depth: NDArray[np.float64]) -> Maps:
    return Maps(cell=maps.cell, nucleus=maps.nucleus, depth=np.rint(depth).astype(np.uint8))


def centres(cells: list[CellMask]) -> list[tuple[int, int]]:
    return sorted(cell.centre_tile for cell in cells)


def label_image(cells: list[CellMask], shape: tuple[int, int]) -> Labels:
    labels = np.zeros(shape, np.int64)
    for number, cell in enumerate(cells, start=1):
        height, width = cell.cell.shape
        place = labels[cell.y_tile : cell.y_tile + height, cell.x_tile : cell.x_tile + width]
        assert not place[cell.cell].any(), "cells are disjoint"
        place[cell.cell] = number
    return labels


@cache
def drawn() -> DrawnSmear:
    kinds = (c for c in CellClass if c not in {"platelet", "smudge", "artefact", "megakaryocyte"})
    spec = SmearSpec(
        width_px=FIELD_PX,
        height_px=FIELD_PX,
        mpp_um=MPP_UM,
        seed=21,
        composition=dict.fromkeys(kinds, 4),
        touching=0.9,
        clump_sizes={2: 1, 3: 1, 4: 1, 5: 1},
        red_cells_per_mm2=0,
    )
    return draw_smear(spec)


@cache
def seen(blur_um: float, noise: float) -> tuple[Maps, list[CellMask]]:
    smear = drawn()
    maps = maps_of(smear.cells.astype(np.int64), smear.nuclei.astype(np.int64), blur_um=blur_um, noise=noise)
    return maps, cells_of(maps, MPP_UM)


def test_the_drawn_cells_are_found_one_for_one_with_their_masks() -> None:
    true, (_, cells) = drawn().cells, seen(0.5, 6.0)
    found = label_image(cells, true.shape)
    assert len(cells) == len(drawn().truth) == 40
    for number in range(1, 41):
        own = true == number
        other = found == np.bincount(found[own & (found > 0)]).argmax()
        assert np.count_nonzero(own & other) / np.count_nonzero(own | other) > 0.85


@pytest.mark.parametrize(("blur_um", "noise"), [(0.5, 6.0), (0.75, 10.0), (1.0, 6.0)])
def test_touching_cells_are_counted_within_5_percent(blur_um: float, noise: float) -> None:
    assert len(seen(blur_um, noise)[1]) == pytest.approx(len(drawn().truth), rel=0.05)


def as_seen(cell: CellMask, x: int, y: int) -> tuple[object, ...]:
    """Return all that a cell is, in the coordinates of the whole picture."""
    sums = (cell.sum_x + x * cell.count, cell.sum_y + y * cell.count, cell.count, cell.lobes)
    return (*sums, cell.x_tile + x, cell.y_tile + y, cell.nucleus.tobytes(), cell.cell.tobytes())


def in_core(cells: list[CellMask], x: int, y: int) -> list[CellMask]:
    """Return the cells whose centres lie in a square of a tile's core with its corner at (x, y)."""
    core = TILE_PX - 2 * HALO_PX
    return [c for c in cells if 0 <= c.centre_tile[0] - x < core and 0 <= c.centre_tile[1] - y < core]


@given(x=st.integers(0, FIELD_PX - TILE_PX), y=st.integers(0, FIELD_PX - TILE_PX))
@settings(max_examples=25, deadline=None)
def test_a_cell_is_the_same_in_every_tile_that_shows_it(x: int, y: int) -> None:
    maps, cells = seen(0.75, 10.0)
    place = np.s_[y : y + TILE_PX, x : x + TILE_PX]
    tile = Maps(cell=maps.cell[place], nucleus=maps.nucleus[place], depth=maps.depth[place])
    shown = in_core(cells_of(tile, MPP_UM), HALO_PX, HALO_PX)
    wanted = in_core(cells, x + HALO_PX, y + HALO_PX)
    assert [as_seen(cell, x, y) for cell in shown] == [as_seen(cell, 0, 0) for cell in wanted]


def test_a_blank_tile_has_no_cells() -> None:
    blank = np.zeros((64, 80), np.uint8)
    assert cells_of(Maps(cell=blank, nucleus=blank, depth=blank), MPP_UM) == []


def test_masks_and_sums_are_those_of_the_painted_cell() -> None:
    (cell,) = cells_of(painted([(100, 80, 24, 14)]), MPP_UM)
    assert cell.centre_tile == (100, 80)
    assert np.count_nonzero(cell.cell) == pytest.approx(np.pi * 24**2, rel=0.03)
    assert cell.count == np.count_nonzero(cell.nucleus) == pytest.approx(np.pi * 14**2, rel=0.03)
    assert (cell.sum_x, cell.sum_y) == (100 * cell.count, 80 * cell.count)
    assert not (cell.nucleus & ~cell.cell).any()


def test_cells_that_touch_are_cut_where_the_depth_has_its_valley() -> None:
    maps = painted([(100, 100, 24, 15), (136, 100, 24, 15)])
    labels = label_image(cells_of(maps, MPP_UM), maps.cell.shape)
    assert labels[100, 100] != labels[100, 136]
    border = np.flatnonzero(np.diff(labels[100, 90:146]) != 0) + 90
    assert len(border) == 1
    assert abs(int(border[0]) - 118) <= 2


@pytest.mark.parametrize("apart", [25, 36])
def test_nuclei_that_touch_across_the_border_go_to_their_own_cells(apart: int) -> None:
    one, two = cells_of(painted([(100, 100, 24, 22), (100 + apart, 100, 24, 22)]), MPP_UM)
    assert abs(one.count - two.count) < 0.1 * one.count
    assert one.lobes == two.lobes == 1


def test_a_nucleus_that_fills_its_cell_keeps_its_outline() -> None:
    (cell,) = cells_of(painted([(100, 100, 16, 16)]), MPP_UM)
    assert np.array_equal(cell.nucleus, cell.cell)


def test_a_cell_of_which_no_depth_is_known_is_found() -> None:
    maps = painted([(100, 100, 24, 15)])
    assert centres(cells_of(with_depth(maps, np.zeros(maps.cell.shape)), MPP_UM)) == [(100, 100)]


def test_a_waist_without_a_valley_in_the_depth_is_one_cell() -> None:
    maps = painted([(100, 100, 24, 15), (130, 100, 24, 15)])
    flat = with_depth(maps, np.minimum(maps.cell, 90).astype(np.float64))
    assert centres(cells_of(flat, MPP_UM)) == [(115, 100)]


def test_the_lobes_of_one_cell_are_counted() -> None:
    lobes: list[Round] = [(88, 100, 0, 8), (112, 92, 0, 8), (106, 114, 0, 8)]
    maps = painted([(100, 100, 28, 0), *lobes])
    whole = painted([(100, 100, 28, 0)])
    (cell,) = cells_of(Maps(cell=whole.cell, nucleus=maps.nucleus, depth=whole.depth), MPP_UM)
    assert cell.lobes == 3


def test_pieces_without_a_nucleus_are_no_cells() -> None:
    platelet, smudge = (200, 60, 6.0, 3.0), (250, 150, 30.0, 0.0)
    assert centres(cells_of(painted([(60, 60, 24, 15), platelet, smudge]), MPP_UM)) == [(60, 60)]


@pytest.mark.parametrize(
    ("valley_um", "beside", "joined"),
    [(2.4, (134, 100, 16, 0), True), (1.0, (134, 100, 16, 0), False), (2.4, (160, 100, 40, 0), False)],
)
def test_a_piece_without_a_nucleus_is_part_of_a_neighbour_behind_a_shallow_valley(
    valley_um: float, beside: Round, joined: bool
) -> None:
    """Unless both together are wider than a cell: then the neighbour is one without it."""
    maps = painted([(100, 100, 24, 15), beside])
    ridge = np.where(np.arange(320) < 122, 6.0, 4.0)
    ridge[119:126] = valley_um
    deep = np.where(maps.cell > 0, ridge[None, :] - np.abs(np.arange(240) - 100)[:, None] / 24, 0)
    (cell,) = cells_of(with_depth(maps, np.clip(deep, 0, None) * DEPTH_PER_UM), MPP_UM)
    assert cell.centre_tile == (100, 100)
    assert (cell.x_tile + cell.cell.shape[1] > 140) is joined


@pytest.mark.parametrize(("value", "cells"), [(250, 1), (150, 0)])
def test_a_small_nucleus_counts_only_where_the_network_is_sure(value: int, cells: int) -> None:
    maps = painted([(100, 100, 16, 7.5)])  # 11 µm²
    unsure = np.minimum(maps.nucleus, value).astype(np.uint8)
    assert len(cells_of(Maps(cell=maps.cell, nucleus=unsure, depth=maps.depth), MPP_UM)) == cells


@pytest.mark.parametrize(("cell", "nucleus", "cells"), [(200, 255, 1), (200, 230, 0), (255, 200, 1), (200, 237, 0)])
def test_what_the_network_doubts_in_the_mean_is_no_cell(cell: int, nucleus: int, cells: int) -> None:
    maps = painted([(100, 100, 24, 15)])
    doubted = Maps(
        cell=np.minimum(maps.cell, cell).astype(np.uint8),
        nucleus=np.minimum(maps.nucleus, nucleus).astype(np.uint8),
        depth=maps.depth,
    )
    assert len(cells_of(doubted, MPP_UM)) == cells


@pytest.mark.parametrize("wide", [(120, 120, 61.0, 20.0), (120, 120, 58.0, 47.0), (120, 120, 54.0, 49.0)])
def test_what_is_larger_than_a_cell_is_left_out(wide: Round) -> None:
    assert cells_of(painted([wide]), MPP_UM) == []


@pytest.mark.parametrize(("half_px", "cells"), [(45, 1), (50, 0)])
def test_a_nucleus_longer_than_any_is_left_out(half_px: int, cells: int) -> None:
    body = painted([(120, 120, 55, 0)])
    nucleus = np.zeros_like(body.cell)
    nucleus[110:130, 120 - half_px : 120 + half_px] = 255
    assert len(cells_of(Maps(cell=body.cell, nucleus=nucleus, depth=body.depth), MPP_UM)) == cells


def test_a_cell_that_reaches_far_from_its_nucleus_is_left_out() -> None:
    body = painted([(120, 100, 45, 0)])
    for x, cells in ((120, 1), (90, 0)):
        nucleus = painted([(x, 100, 45, 12)]).nucleus
        assert len(cells_of(Maps(cell=body.cell, nucleus=nucleus, depth=body.depth), MPP_UM)) == cells


@pytest.mark.parametrize("at", [(4, 100), (315, 100), (100, 4), (100, 235)])
def test_a_cell_at_the_edge_is_kept_when_asked_and_when_its_nucleus_shows(at: tuple[int, int]) -> None:
    maps = painted([(*at, 24, 15)])
    assert cells_of(maps, MPP_UM) == []
    assert len(cells_of(maps, MPP_UM, keep_border=True)) == 1
    hardly = painted([(at[0], at[1], 24, 5)])
    assert cells_of(hardly, MPP_UM, keep_border=True) == []


def test_small_holes_are_filled_and_spurs_cut_off() -> None:
    maps = painted([(100, 100, 24, 15)])
    cell, nucleus = maps.cell.copy(), maps.nucleus.copy()
    cell[108:112, 108:112] = 0
    nucleus[96:100, 96:100] = 0
    cell[99:101, 124:170] = 255
    (found,) = cells_of(Maps(cell=cell, nucleus=nucleus, depth=maps.depth), MPP_UM)
    (clean,) = cells_of(maps, MPP_UM)
    assert abs(np.count_nonzero(found.cell) - np.count_nonzero(clean.cell)) < 10
    assert found.count == clean.count


def test_a_platelet_inside_a_cell_is_part_of_it() -> None:
    maps = painted([(100, 100, 28, 14)])
    depth = maps.depth.astype(np.float64)
    rows, columns = np.mgrid[:240, :320]
    ring = np.abs(np.hypot(columns - 118, rows - 100) - 6) < 3
    depth[ring] = 1
    (cell,) = cells_of(with_depth(maps, depth), MPP_UM)
    assert np.count_nonzero(cell.cell) == pytest.approx(np.pi * 28**2, rel=0.03)


def test_any_maps_give_disjoint_cells_of_the_size_of_cells() -> None:
    rng = np.random.default_rng(3)
    for sigma in (0.5, 1.0, 2.0, 4.0, 8.0):
        planes = []
        for _ in range(3):
            noise = cv2.GaussianBlur(rng.standard_normal((192, 192)), (0, 0), sigma)
            planes.append(np.clip(128 + 64 * noise / noise.std(), 0, 255).astype(np.uint8))
        everywhere = np.full((192, 192), 255, np.uint8)
        for cell in (planes[0], everywhere):
            found = cells_of(Maps(cell=cell, nucleus=planes[1], depth=planes[2]), MPP_UM, keep_border=True)
            labels = label_image(found, cell.shape)
            assert len(found) <= labels.size * MPP_UM**2 / 9.0
            for number in range(1, len(found) + 1):
                assert cv2.connectedComponents((labels == number).astype(np.uint8))[0] == 2
