from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.geometry import LATTICE_PX, Box
from worker.slides.tiling import Tile, batches, plan_tiles

lattice = st.integers(-40, 40).map(lambda n: n * LATTICE_PX)
cores_px = st.integers(1, 20).map(lambda n: n * LATTICE_PX)
sides = st.integers(1, 1500)


@dataclass
class Columns:
    """Readable left of a column only."""

    end: int

    def any_in(self, box_work: Box) -> bool:
        return box_work.x < self.end


EVERYWHERE = Columns(end=10**9)


@settings(deadline=None)
@given(sides, sides, cores_px, st.tuples(lattice, lattice))
def test_cores_partition_the_plane(width: int, height: int, core_px: int, origin: tuple[int, int]) -> None:
    covered = np.zeros((height, width), dtype=np.uint8)
    for tile in plan_tiles(width, height, core_px=core_px, halo_px=128, readable=EVERYWHERE, origin=origin):
        core = tile.core_work
        assert core.x >= 0
        assert core.y >= 0
        covered[core.y : core.y_end, core.x : core.x_end] += 1
    assert (covered == 1).all()


@settings(deadline=None)
@given(sides, sides, cores_px, st.tuples(lattice, lattice), st.data())
def test_every_centroid_belongs_to_one_core(
    width: int, height: int, core_px: int, origin: tuple[int, int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 50))
    sum_x = data.draw(st.integers(0, width * count - 1))
    sum_y = data.draw(st.integers(0, height * count - 1))
    tiles = plan_tiles(width, height, core_px=core_px, halo_px=0, readable=EVERYWHERE, origin=origin)
    assert sum(tile.core_work.holds_mean(sum_x, sum_y, count) for tile in tiles) == 1


@settings(deadline=None)
@given(sides, sides, cores_px, st.tuples(lattice, lattice))
def test_cores_begin_on_the_lattice_and_reads_have_the_whole_halo(
    width: int, height: int, core_px: int, origin: tuple[int, int]
) -> None:
    tiles = plan_tiles(width, height, core_px=core_px, halo_px=96, readable=EVERYWHERE, origin=origin)
    for tile in tiles:
        assert tile.core_work.x % LATTICE_PX == tile.core_work.y % LATTICE_PX == 0
        assert tile.read_work == tile.core_work.grown(96)
    assert [tile.no for tile in tiles] == list(range(len(tiles)))


def test_the_grid_can_be_shifted() -> None:
    tiles = plan_tiles(1000, 64, core_px=512, halo_px=0, readable=EVERYWHERE, origin=(-192, 0))
    assert [tile.core_work.x for tile in tiles] == [0, 320, 832]


def test_tiles_without_a_readable_place_are_left_out() -> None:
    tiles = plan_tiles(1000, 200, core_px=256, halo_px=128, readable=Columns(end=300))
    assert [tile.core_work.x for tile in tiles] == [0, 256]


@pytest.mark.parametrize(("core_px", "origin"), [(100, (0, 0)), (0, (0, 0)), (256, (32, 0)), (256, (0, -1))])
def test_a_grid_off_the_lattice_is_refused(core_px: int, origin: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="lattice"):
        plan_tiles(1000, 1000, core_px=core_px, halo_px=0, readable=EVERYWHERE, origin=origin)


def some_tiles(columns: int, rows: int = 1) -> tuple[Tile, ...]:
    side = LATTICE_PX
    return plan_tiles(columns * side, rows * side, core_px=side, halo_px=0, readable=EVERYWHERE)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**63))
def test_batches_hold_every_tile_once(columns: int, rows: int, per_batch: int, seed: int) -> None:
    tiles = some_tiles(columns, rows)
    grouped = batches(tiles, per_batch, seed)
    assert sorted(tile.no for batch in grouped for tile in batch) == list(range(len(tiles)))
    assert all(len(batch) == per_batch for batch in grouped[:-1])
    assert grouped == batches(tiles, per_batch, seed)


def steps(batch: tuple[Tile, ...]) -> list[int]:
    """Return how many cores lie between each tile of a batch and the next: 1 for neighbours."""
    places = [(tile.core_work.x // LATTICE_PX, tile.core_work.y // LATTICE_PX) for tile in batch]
    return [abs(x - left) + abs(y - top) for (left, top), (x, y) in pairwise(places)]


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(1, 20), st.integers(0, 2**63))
def test_on_a_square_each_tile_of_a_batch_is_the_neighbour_of_the_one_before(
    power: int, per_batch: int, seed: int
) -> None:
    for batch in batches(some_tiles(2**power, 2**power), per_batch, seed):
        assert set(steps(batch)) <= {1}


@settings(deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(0, 2**63))
def test_a_batch_is_compact_on_any_grid(columns: int, rows: int, seed: int) -> None:
    grouped = batches(some_tiles(columns, rows), 8, seed)
    jumps = sum(step > 1 for batch in grouped for step in steps(batch))
    assert jumps <= max(columns, rows)  # where the curve leaves the plane and comes back


def test_the_first_batches_are_a_sample_of_the_whole_slide() -> None:
    grouped = batches(some_tiles(40, 40), 8, 2026)
    first = [tile.core_work for batch in grouped[: len(grouped) // 4] for tile in batch]
    quadrants = Counter((core.x >= 20 * LATTICE_PX, core.y >= 20 * LATTICE_PX) for core in first)
    assert min(quadrants.values()) >= len(first) // 8


def test_the_drawn_order_never_changes() -> None:
    grouped = batches(some_tiles(5, 3), 4, 7)
    assert [[tile.no for tile in batch] for batch in grouped] == [
        [12, 13, 11, 10],
        [2, 3, 8, 7],
        [0, 5, 6, 1],
        [14, 9, 4],
    ]
    assert grouped != batches(some_tiles(5, 3), 4, 8)
