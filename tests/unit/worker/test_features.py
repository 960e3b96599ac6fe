from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from worker.cells.cytoplasm import Mask
from worker.cells.features import NAMES, measure, outline
from worker.cells.segment import CellMask
from worker.cells.stain import Pixels

GREY = np.full((120, 120, 3), 128, np.uint8)


def cell_mask(nucleus: Mask, cell: Mask | None = None, lobes: int = 1, x_tile: int = 0, y_tile: int = 0) -> CellMask:
    rows, columns = np.nonzero(nucleus)
    return CellMask(
        x_tile=x_tile,
        y_tile=y_tile,
        nucleus=nucleus,
        cell=nucleus if cell is None else cell,
        sum_x=int(columns.sum()) + x_tile * len(rows),
        sum_y=int(rows.sum()) + y_tile * len(rows),
        count=len(rows),
        lobes=lobes,
    )


def ellipse(long: float, short: float) -> Mask:
    y, x = np.mgrid[-50:51, -50:51]
    return np.asarray((x / long) ** 2 + (y / short) ** 2 <= 1)


@pytest.mark.parametrize("radius", [6, 12, 30])
def test_a_disc_measures_as_a_disc(radius: int) -> None:
    got = measure(GREY, cell_mask(ellipse(radius, radius)), 0.5)
    assert got["nucleus_area_um2"] == pytest.approx(np.pi * radius**2 * 0.25, rel=0.04)
    assert got["perimeter_um"] == pytest.approx(np.pi * radius, rel=0.03)
    assert got["circularity"] == pytest.approx(1.0, abs=0.03)
    assert got["solidity"] == pytest.approx(1.0, abs=0.02)
    assert got["eccentricity"] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(("long", "short"), [(40, 20), (45, 9)])
def test_an_ellipse_has_its_own_eccentricity(long: int, short: int) -> None:
    got = measure(GREY, cell_mask(ellipse(long, short)), 0.25)
    assert got["eccentricity"] == pytest.approx(np.sqrt(1 - (short / long) ** 2), abs=0.01)
    assert got["solidity"] == pytest.approx(1.0, abs=0.02)
    assert got["circularity"] < 0.9


def test_a_notch_lowers_solidity_and_lobes_are_taken_over() -> None:
    notched = ellipse(30, 30)
    notched[50:, 45:56] = False
    got = measure(GREY, cell_mask(notched, lobes=3), 0.25)
    assert got["solidity"] < 0.92
    assert got["lobes"] == 3.0


def test_nc_ratio_is_nucleus_over_whole_cell() -> None:
    got = measure(GREY, cell_mask(ellipse(20, 20), ellipse(40, 40)), 0.25)
    assert got["nc_ratio"] == pytest.approx(0.25, abs=0.01)
    assert got["cell_area_um2"] == pytest.approx(4 * got["nucleus_area_um2"], rel=0.02)


def test_colours_are_those_of_nucleus_and_cytoplasm() -> None:
    nucleus, cell = ellipse(10, 10), ellipse(25, 25)
    tile = np.zeros((120, 120, 3), np.uint8)
    tile[7:108, 5:106][cell] = (150, 160, 200)
    tile[7:108, 5:106][nucleus] = (80, 40, 130)
    got = measure(tile, cell_mask(nucleus, cell, x_tile=5, y_tile=7), 0.25)
    assert [got[f"nucleus_{c}_mean"] for c in "rgb"] == [80, 40, 130]
    assert [got[f"cytoplasm_{c}_mean"] for c in "rgb"] == [150, 160, 200]
    assert [got[f"{part}_{c}_std"] for part in ("nucleus", "cytoplasm") for c in "rgb"] == [0.0] * 6


def test_without_cytoplasm_its_colours_are_zero() -> None:
    got = measure(GREY, cell_mask(ellipse(10, 10)), 0.25)
    assert all(got[f"cytoplasm_{c}_{what}"] == 0.0 for c in "rgb" for what in ("mean", "std"))


def test_texture_of_a_flat_nucleus_is_nothing() -> None:
    got = measure(GREY, cell_mask(ellipse(20, 20)), 0.25)
    names = ("texture_contrast", "texture_homogeneity", "texture_energy", "texture_entropy")
    assert [got[name] for name in names] == pytest.approx([0.0, 1.0, 1.0, 0.0])


def test_texture_of_stripes_is_counted_by_hand() -> None:
    tile = np.zeros((120, 120, 3), np.uint8)
    tile[:, ::2] = 8  # one of 32 grey levels above its neighbours
    square = np.zeros((101, 101), bool)
    square[20:41, 20:40] = True
    got = measure(tile, cell_mask(square), 0.5)  # 0.5 µm apart is one pixel here
    # Pairs that differ: across and both diagonals; pairs that agree: downwards.
    differ, agree = 21 * 19 + 2 * 20 * 19, 20 * 20
    share = differ / (differ + agree)
    assert got["texture_contrast"] == pytest.approx(share)
    assert got["texture_homogeneity"] == pytest.approx(1 - share / 2)


def test_texture_pools_both_diagonals() -> None:
    y, x = np.mgrid[0:120, 0:120]
    tile = np.zeros((120, 120, 3), np.uint8)
    tile[(x + y) // 2 % 2 == 0] = 8  # stripes along one diagonal: always across the other, never along itself
    square = np.zeros((101, 101), bool)
    square[20:60, 20:60] = True
    assert measure(tile, cell_mask(square), 0.5)["texture_contrast"] == pytest.approx(0.5, abs=0.01)


@given(
    mask=arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda m: bool(m.any())),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_any_mask_has_finite_features_and_a_closed_outline(mask: Mask, seed: int) -> None:
    tile: Pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    cell = cell_mask(mask, x_tile=4, y_tile=6)
    got = measure(tile, cell, 0.25)
    assert tuple(got) == NAMES
    assert np.isfinite(list(got.values())).all()
    assert 0 < got["solidity"] <= 1.0 + 1e-9
    assert 0 < got["circularity"] <= 1.0 + 1e-9
    points = outline(cell)
    assert len(points) >= 3
    assert area(points) > 0
    assert is_simple(points)


def test_the_outline_follows_the_cell_in_tile_pixels() -> None:
    cell = cell_mask(ellipse(10, 10), ellipse(30, 20), x_tile=200, y_tile=300)
    points = np.array(outline(cell))
    assert points.min(axis=0) == pytest.approx((200 + 20, 300 + 30), abs=1)
    assert points.max(axis=0) == pytest.approx((200 + 80, 300 + 70), abs=1)
    assert area(outline(cell)) == pytest.approx(np.pi * 30 * 20, rel=0.06)
    assert len(points) < 60
    assert tuple(points[0]) != tuple(points[-1])


def area(points: tuple[tuple[int, int], ...]) -> float:
    x, y = np.array(points, float).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def is_simple(points: tuple[tuple[int, int], ...]) -> bool:
    """Tell by brute force whether no two sides that are not neighbours meet."""
    sides = [(points[i], points[(i + 1) % len(points)]) for i in range(len(points))]
    pairs = [
        (one, other)
        for i, one in enumerate(sides)
        for j, other in enumerate(sides)
        if j > i + 1 and not (i == 0 and j == len(sides) - 1)
    ]
    return len(set(points)) == len(points) and not any(crosses(*one, *other) for one, other in pairs)


def crosses(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int], d: tuple[int, int]) -> bool:
    def turn(p: tuple[int, int], q: tuple[int, int], r: tuple[int, int]) -> int:
        return int(np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])))

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
