"""Where things lie: arithmetic on points, no pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
"""(n, 2) float64: x and y."""


def scattered(
    rng: np.random.Generator,
    size: tuple[float, float],
    count: int,
    *,
    apart: float,
    tolerance: float,
    margin: float = 0.0,
) -> Points:
    """Return about `count` points in a (width, height) field grown by `margin`, mostly at least `apart`.

    A pair that lies nearer is allowed with probability `tolerance`, so that some overlap as in a thick film.
    """
    low, high = np.full(2, -margin), np.array(size) + margin
    points = rng.uniform(low, high, (max(1, round(count * 1.7)), 2))
    pairs = cKDTree(points).query_pairs(apart, output_type="ndarray")
    forbidden = pairs[rng.random(len(pairs)) >= tolerance]
    kept = np.ones(len(points), bool)
    for first, second in forbidden[np.argsort(forbidden[:, 1], kind="stable")]:
        if kept[first]:
            kept[second] = False
    return points[kept][:count]


def clear_of(points: Points, centres: Points, radii: NDArray[np.float64]) -> Points:
    """Return the points that lie outside every disc (`radii` (m,) about `centres` (m, 2))."""
    if len(points) == 0 or len(centres) == 0:
        return points
    widest = float(radii.max())
    pairs = cKDTree(points).sparse_distance_matrix(cKDTree(centres), widest, output_type="coo_matrix")
    clear = np.ones(len(points), bool)
    clear[pairs.row[pairs.data < radii[pairs.col]]] = False
    return np.asarray(points[clear])
