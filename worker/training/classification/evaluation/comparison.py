"""Tests of whether two systems differ on the same units, for independent units and for units that come in groups.

McNemar, Psychometrika 12 (1947): 153, exact. DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988): 837, with the
cluster sums of Obuchowski, Biometrics 53 (1997): 567. Cells of one patient are not independent, so the tests by group
are the ones to go by; with every unit its own group they equal the two plain ones.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Values = NDArray[np.float64]


def swapped_p(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_], groups: NDArray[np.str_]) -> float:
    """Return the exact two-sided p of as large a difference in right answers, if systems were swapped at random.

    They are swapped for all units of a group together. Each unit its own group makes it McNemar's exact test.
    """
    _, rows = np.unique(groups, return_inverse=True)
    surplus = np.bincount(rows, weights=first_right.astype(np.float64) - second_right).astype(np.int64)
    chances = np.ones(1)  # of each total from -reach to reach
    for size in np.abs(surplus[surplus != 0]):
        step = np.zeros(2 * size + 1)
        step[0] = step[-1] = 0.5
        chances = np.convolve(chances, step)
    totals = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(totals) >= abs(surplus.sum())].sum()))


def delong_p(
    is_positive: NDArray[np.bool_], first: Values, second: Values, groups: NDArray[np.str_]
) -> tuple[float, float]:
    """Return the difference of two areas under the ROC curve, first less second, and its two-sided p.

    Scores are (N,). NaN where one kind of unit comes from fewer than two groups.
    """
    ranked = np.stack([_components(is_positive, scores) for scores in (first, second)])  # (2, N)
    areas = ranked[:, is_positive].mean(axis=1)
    gap = float(areas[0] - areas[1])
    covariance = _covariance(is_positive, ranked - areas[:, None], groups)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if np.isnan(variance):
        return gap, float("nan")
    if variance <= np.finfo(np.float64).eps:  # the same ranking twice
        return gap, 1.0 if gap == 0 else 0.0
    return gap, float(2 * norm.sf(abs(gap) / sqrt(variance)))


def _components(is_positive: NDArray[np.bool_], scores: Values) -> Values:
    """Return (N,) the share of the other kind that each unit is rightly ranked against, a tie counting half."""
    positives, negatives = scores[is_positive], scores[~is_positive]
    ranks = rankdata(np.concatenate([positives, negatives]))
    count = len(positives)
    found = np.empty(len(scores))
    found[is_positive] = (ranks[:count] - rankdata(positives)) / len(negatives)
    found[~is_positive] = 1 - (ranks[count:] - rankdata(negatives)) / count
    return found


def _covariance(is_positive: NDArray[np.bool_], residuals: Values, groups: NDArray[np.str_]) -> Values:
    """Return the (2, 2) covariance of the areas from (2, N) residuals of their components."""
    names, rows = np.unique(groups, return_inverse=True)
    sums, spread = [], []
    for kind in (is_positive, ~is_positive):
        held = len(np.unique(rows[kind]))
        if held < 2:
            return np.full((2, 2), np.nan)
        sums.append(np.stack([np.bincount(rows, np.where(kind, r, 0), len(names)) for r in residuals]) / kind.sum())
        spread.append(held / (held - 1))
    mixed = len(names) / (len(names) - 1) * sums[0] @ sums[1].T
    return np.asarray(spread[0] * sums[0] @ sums[0].T + spread[1] * sums[1] @ sums[1].T + mixed + mixed.T)
