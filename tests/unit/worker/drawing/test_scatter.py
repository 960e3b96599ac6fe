"""worker.drawing.scatter: points in a field."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from worker.drawing.scatter import clear_of, scattered


@given(seed=st.integers(0, 2**32), count=st.integers(0, 120), apart=st.floats(1, 40))
def test_points_keep_their_distance(seed: int, count: int, apart: float) -> None:
    points = scattered(np.random.default_rng(seed), (200, 300), count, apart=apart, tolerance=0.0)
    assert len(points) <= count
    assert pdist(points).min(initial=np.inf) > apart - 1e-9 if len(points) > 1 else True
    assert (points >= 0).all()
    assert (points <= [200, 300]).all()


def test_tolerance_lets_some_overlap_and_margin_grows_the_field() -> None:
    rng = np.random.default_rng(1)
    points = scattered(rng, (200, 200), 600, apart=6, tolerance=0.5, margin=10)
    assert len(points) > 400
    assert pdist(points).min() < 6
    assert points.min() < 0
    assert points.max() > 200


@given(seed=st.integers(0, 2**32), discs=st.integers(0, 30))
def test_clear_points_are_just_those_outside_all_discs(seed: int, discs: int) -> None:
    rng = np.random.default_rng(seed)
    points, centres, radii = rng.uniform(0, 50, (80, 2)), rng.uniform(0, 50, (discs, 2)), rng.uniform(1, 9, discs)
    distances = np.hypot(*(points[:, None] - centres[None]).transpose(2, 0, 1))
    outside = points[(distances >= radii).all(axis=1)]
    assert np.array_equal(clear_of(points, centres, radii), outside)
