"""Intervals and findings of a number of cells that is fixed beforehand: exact, by summing over every possible count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from worker.counting.intervals import exact

SHARES = (0.01, 0.02, 0.05, 0.08, 0.10, 0.12, 0.15, 0.18, 0.20, 0.22, 0.25, 0.30, 0.40)
CELLS = (100, 200, 500, 1000, 2000)
_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What becomes of one true share when so many cells are counted."""

    share: float
    cells: int
    coverage: float  # chance that the interval holds the true share
    width: float  # mean
    above: float  # chance that the interval lies above the threshold
    below: float


def study(share: float, cells: int, *, threshold: float, error: float) -> Fixed:
    """Return what intervals of this error do, without abstained cells."""
    chance = binom.pmf(np.arange(cells + 1), cells, share)
    low, high = _ends(cells, error)
    return Fixed(
        share=share,
        cells=cells,
        coverage=float(chance[(low <= share) & (share <= high)].sum()),
        width=float((chance * (high - low)).sum()),
        above=float(chance[low >= threshold].sum()),
        below=float(chance[high < threshold].sum()),
    )


def least_coverage(cells: int, *, error: float, shares: _Floats) -> float:
    """Return the least coverage over many true shares."""
    low, high = _ends(cells, error)
    chances = binom.pmf(np.arange(cells + 1)[:, None], cells, shares[None])
    holds = (low[:, None] <= shares) & (shares <= high[:, None])
    return float((chances * holds).sum(axis=0).min())


def _ends(cells: int, error: float) -> tuple[_Floats, _Floats]:
    ends = np.array([exact(k, cells, error) for k in range(cells + 1)])
    return ends[:, 0], ends[:, 1]
