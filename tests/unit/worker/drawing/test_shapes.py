"""worker.drawing.shapes and grid: signed distances and noise."""

from __future__ import annotations

import numpy as np
import pytest

from worker.drawing.grid import Bitmap, Grid, smoothstep
from worker.drawing.shapes import arc, capsule, chain, cover, ellipse, union, without


@pytest.fixture
def grid() -> Grid:
    return Grid.square(10.0, 0.1)


def area_um2(mask: Bitmap) -> float:
    return float(mask.sum()) * 0.01


def test_grid_is_centred_and_in_micrometres(grid: Grid) -> None:
    assert grid.shape == (200, 200)
    assert float(grid.x_um.sum()) == pytest.approx(0, abs=0.1)
    assert float(grid.x_um.max()) == pytest.approx(9.95, abs=1e-4)


@pytest.mark.parametrize("aspect", [1.0, 1.5, 2.5])
def test_ellipse_keeps_the_area_of_its_disc(grid: Grid, aspect: float) -> None:
    shape = ellipse(grid, at=(1.0, -0.5), radius_um=4.0, aspect=aspect, angle=0.7)
    assert area_um2(shape < 0) == pytest.approx(np.pi * 16, rel=0.01)


def test_capsule_distance_is_euclidean(grid: Grid) -> None:
    shape = capsule(grid, (-3.0, 0.0), (3.0, 0.0), 1.0)
    assert shape[:, 100].min() == pytest.approx(-0.95, abs=0.01)  # half a pixel off the axis
    assert shape[100, 195] == pytest.approx(np.hypot(9.55 - 3.0, 0.05) - 1.0, abs=0.01)


def test_chain_covers_every_point_it_passes(grid: Grid) -> None:
    points = arc(5.0, 0.3, 2.5, 6)
    shape = chain(grid, points, 0.5)
    for x_um, y_um in points:
        assert shape[int((y_um + 10) * 10), int((x_um + 10) * 10)] < 0


def test_union_and_difference(grid: Grid) -> None:
    left = ellipse(grid, at=(-2.0, 0.0), radius_um=3.0)
    right = ellipse(grid, at=(2.0, 0.0), radius_um=3.0)
    both, cut = union([left, right], blend_um=0.01), without(left, right, blend_um=0.01)
    assert np.array_equal(both < 0, (left < 0) | (right < 0))
    assert area_um2(cut < 0) == pytest.approx(area_um2((left < 0) & ~(right < 0)), rel=0.01)


def test_cover_is_half_on_the_outline(grid: Grid) -> None:
    shape = ellipse(grid, at=(0.0, 0.0), radius_um=4.0)
    covered = cover(shape, 0.5)
    assert float(covered[shape < -0.3].min()) == 1.0
    assert float(covered[shape > 0.3].max()) == 0.0
    assert float(covered.sum()) * 0.01 == pytest.approx(np.pi * 16, rel=0.01)


@pytest.mark.parametrize("scale_um", [0.05, 0.5, 3.0])
def test_noise_is_level_and_of_unit_size(scale_um: float) -> None:
    noise = Grid.square(60.0, 0.25).noise(np.random.default_rng(1), scale_um)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.1)
    assert 0.7 < float(noise.std()) < 1.4


def test_noise_is_as_coarse_as_asked() -> None:
    noise = Grid.square(60.0, 0.25).noise(np.random.default_rng(1), 4.0)
    assert float(np.abs(np.diff(noise, axis=1)).max()) < 0.7
    assert float(np.corrcoef(noise[:, 0], noise[:, 40])[0, 1]) < 0.3


def test_smoothstep_runs_either_way() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    assert smoothstep(values, 0.0, 1.0).tolist() == [0, 0, 0.5, 1, 1]
    assert smoothstep(values, 1.0, 0.0).tolist() == [1, 1, 0.5, 0, 0]
