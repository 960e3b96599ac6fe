"""Shares of cells corrected for how often the model confuses classes, as a matrix of labelled cells shows it.

After Rogan and Gladen (Am J Epidemiol 1978;107:71), for many classes: the shares of calls are the true shares times the
confusion matrix; the true shares are the most likely ones that are not negative and sum to one, found by expectation
maximisation (Dempster, Laird and Rubin, J R Stat Soc B 1977;39:1). Intervals are by the delta method from both samples,
the patient's cells and the matrix's.
All of it holds only where the patient's cells are confused as the matrix's were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from db.records import NOT_COUNTED, CellClass, Confusion, Share, SpecimenTally

NOT_CORRECTED = "not corrected for"
CORRECTED = (
    "the finding is by the counted cells; the corrected shares beside it rest on how often the model confuses classes "
    "on labelled cells of public sets, and hold only where this patient's cells are confused alike"
)
"""What evidence says of the classifier's own errors, without and with a matrix."""
_Array = NDArray[np.float64]
_STEPS, _STILL = 500, 1e-7
_BEYOND = 3.0
"""More standard errors of abstention than this above every class of the matrix, and it does not hold for the cells."""


@dataclass(frozen=True, kw_only=True)
class CorrectedShare:
    """A class's share of the counted cells as it is likely to be in truth."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """True shares of K classes with the covariance of their unconstrained estimate."""

    shares: _Array  # (K,) not negative, sum 1
    covariance: _Array  # (K, K)


def corrected(
    tally: SpecimenTally, confusion: Confusion, classes: Sequence[CellClass], confidence: float
) -> dict[CellClass, CorrectedShare]:
    """Return the corrected share of each of `classes`; nothing when the matrix cannot serve for these cells.

    It cannot when no cell was counted, when one of its classes has no labelled cell, and when more cells were abstained
    than of any of its classes. Cells that were abstained and would not have been counted are in neither sample.
    """
    counts = np.array(confusion.counts, dtype=np.float64)
    called = np.array([tally.counts.get(name, 0) for name in confusion.classes] + [tally.abstained], dtype=np.float64)
    if not _serves(called, counts):
        return {}
    fit = _fitted(called, counts)
    counted = np.array([CellClass(name) not in NOT_COUNTED for name in confusion.classes], dtype=np.float64)
    if counted @ fit.shares <= 0:
        return {}
    chosen = {c: np.array([name == c for name in confusion.classes], dtype=np.float64) for c in classes}
    return {c: _share(fit, one, counted, confidence) for c, one in chosen.items() if one.any()}


def beside(
    tally: SpecimenTally, counted: Mapping[CellClass, Share], confusion: Confusion, confidence: float
) -> list[dict[str, Any]]:
    """Return each counted share with the corrected one beside it; None where the matrix cannot serve."""
    found = corrected(tally, confusion, list(counted), confidence)
    return [
        {
            "specimen": tally.specimen.value,
            "cell_class": cell_class.value,
            "counted": _interval(share),
            "corrected": _interval(found[cell_class]) if cell_class in found else None,
        }
        for cell_class, share in counted.items()
    ]


def _interval(share: Share | CorrectedShare) -> dict[str, float | None]:
    return {"value": share.value, "ci_low": share.ci_low, "ci_high": share.ci_high}


def _serves(called: _Array, counts: _Array) -> bool:
    cells, labelled = called.sum(), counts.sum(axis=1)
    if cells == 0 or labelled.min() == 0:
        return False
    most = float((counts[:, -1] / labelled).max())
    error = math.sqrt(max(most * (1 - most), 1 / cells) * (1 / cells + 1 / labelled.min()))
    return bool(called[-1] / cells <= most + _BEYOND * error)


def _fitted(called: _Array, counts: _Array) -> _Fit:
    cells, labelled, columns = called.sum(), counts.sum(axis=1), len(called)
    # A count of zero is no certainty: one cell, spread over its columns, is added to each row of the matrix.
    rows = (counts + 1 / columns) / (labelled[:, None] + 1)
    shares = _most_likely(called / cells, rows)
    seen = (called + 0.5) / (cells + 0.5 * columns)
    variance = _multinomial(seen) / cells
    for share, row, number in zip(shares, rows, labelled, strict=True):
        variance += share**2 * _multinomial(row) / (number + 1)
    weights = np.sqrt(1 / seen)
    inverse = np.linalg.pinv(rows.T * weights[:, None]) * weights  # (K, K + 1)
    return _Fit(shares=shares, covariance=inverse @ variance @ inverse.T)


def _most_likely(seen: _Array, rows: _Array) -> _Array:
    """Return the (K,) shares under which the (K + 1,) shares of calls are most probable."""
    shares = np.full(len(rows), 1 / len(rows))
    for _ in range(_STEPS):
        before, shares = shares, shares * (rows @ (seen / (shares @ rows)))
        if np.abs(shares - before).max() < _STILL:
            break
    return shares


def _multinomial(shares: _Array) -> _Array:
    return np.asarray(np.diag(shares) - np.outer(shares, shares), dtype=np.float64)


def _share(fit: _Fit, one: _Array, counted: _Array, confidence: float) -> CorrectedShare:
    whole = float(counted @ fit.shares)
    value = float(one @ fit.shares) / whole
    slope = (one - value * counted) / whole
    margin = float(ndtri((1 + confidence) / 2)) * math.sqrt(float(slope @ fit.covariance @ slope))
    return CorrectedShare(value=value, ci_low=max(0.0, value - margin), ci_high=min(1.0, value + margin))
