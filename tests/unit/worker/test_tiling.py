from __future__ import annotations

from dataclasses import dataclass

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


def some_tiles(count: int) -> tuple[Tile, ...]:
    return plan_tiles(count * LATTICE_PX, 1, core_px=LATTICE_PX, halo_px=0, readable=EVERYWHERE)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 2**63))
def test_batches_hold_every_tile_once(count: int, per_batch: int, seed: int) -> None:
    tiles = some_tiles(count)
    grouped = batches(tiles, per_batch, seed)
    assert sorted(tile.no for batch in grouped for tile in batch) == list(range(count))
    assert all(len(batch) == per_batch for batch in grouped[:-1])
    assert grouped == batches(tiles, per_batch, seed)


def test_the_drawn_order_never_changes() -> None:
    order = [tile.no for batch in batches(some_tiles(10), 4, 7) for tile in batch]
    assert order == [4, 7, 3, 8, 2, 9, 1, 5, 6, 0]
    assert order != [tile.no for batch in batches(some_tiles(10), 4, 8) for tile in batch]
