from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.cells.gpu_basins import basins_on, find_basins_on
from worker.cells.pieces import Labels, find_basins, split_by_depth

CPU = torch.device("cpu")
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))


@given(SHAPES.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(0, 6))))
@settings(deadline=None)
def test_torch_finds_the_same_basins_bit_by_bit(depth: Labels) -> None:
    """Small depths make many plateaus, where the order of neighbours decides."""
    ours, theirs = find_basins_on(depth, CPU), find_basins(depth)
    for name in ("image", "peaks", "pairs", "saddles"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.dtype == other.dtype, name
        assert np.array_equal(mine, other), name


def test_pieces_are_the_same_whoever_finds_the_basins() -> None:
    depth = np.random.default_rng(2).integers(0, 2**20, (300, 260)).astype(np.int32)
    plain, other = (split_by_depth(depth, 0.7, basins) for basins in (None, lambda d: find_basins_on(d, CPU)))
    assert np.array_equal(plain.labels, other.labels)
    assert np.array_equal(plain.depth, other.depth)
    assert plain.necks == other.necks


def test_a_gpu_is_used_where_the_network_runs_on_one() -> None:
    assert basins_on(CPU) is find_basins
    assert basins_on(torch.device("cuda:0")) is not find_basins
