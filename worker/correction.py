"""Shares of cells corrected for how often the model confuses classes, as a matrix of labelled cells shows it.

After Rogan and Gladen (Am J Epidemiol 1978;107:71), for many classes: the shares of calls are the true shares times the
confusion matrix; the true shares are the most likely ones that are not negative and sum to one, found by expectation
maximisation (Dempster, Laird and Rubin, J R Stat Soc B 1977;39:1). Intervals are by the delta method from both samples,
the patient's cells and the matrix's.
All of it holds only where the patient's cells are confused as the matrix's were.

Of a cell that a person judged the truth is known, and the matrix is asked of the others alone. The most likely shares
are those of both together: each judged cell counts for its class, each other one for the classes that its call may
stand for. Whether a cell was judged may depend on its call, as where all that were called blasts are reviewed (missing
at random: Rubin, Biometrika 1976;63:581), yet not on its truth: where persons said something of wrong calls only, the
others are better than the matrix says. That shows in how many of the judged calls were wrong: then nothing is given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from db.counts import APART, Share, SpecimenTally
from db.records import NOT_COUNTED, CellClass, Confusion

NOT_CORRECTED = "not corrected for"
CORRECTED = (
    "the finding is by the counted cells; the corrected shares beside it rest on how often the model confuses classes "
    "on labelled cells of public sets, and hold only where this patient's cells are confused alike"
)
"""What evidence says of the classifier's own errors, without and with a matrix."""
_Array = NDArray[np.float64]
_STEPS, _STILL = 500, 1e-7
_BEYOND = 3.0
"""Farther off than so many standard errors, in abstained or wrong calls, and the matrix does not hold."""

_FEW, _FEW_GIVEN = 0.5, 2.0
"""Cells added to each number for its variance alone: none seen is no certainty that there is none.

Two to those that persons gave a class, as Agresti and Coull do (Am Stat 1998;52:119): of a rare class they may have
given it to no cell, while calls of it are seldom missing, as others are mistaken for it.
"""


class Use(StrEnum):
    """What the matrix is good for, where persons judged cells."""

    OF_OTHERS = "cells that nobody judged are corrected, those that persons judged count as they said"
    NEEDLESS = "persons judged every cell: nothing is left to correct"
    UNFIT = (
        "none are given: of the judged calls more or fewer were wrong than the matrix has it, so that it does not hold "
        "for these cells, or something was said of the wrong ones alone"
    )
    NONE = "none are given: the matrix does not hold for these cells"


@dataclass(frozen=True, kw_only=True)
class CorrectedShare:
    """A class's share of the counted cells as it is likely to be in truth."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A specimen's cells as K classes of a matrix see them; the last row of calls is for the abstained."""

    called: _Array  # (K + 1,) cells that nobody judged
    judged: _Array  # (K + 1, K + 1) cells by call and by the class given; last column: classes the matrix has not
    known: Mapping[str, int]  # other counted cells, by class: given one that the matrix has not, or in neither sample

    @property
    def given(self) -> _Array:
        """The (K,) judged cells by the class given."""
        return np.asarray(self.judged.sum(axis=0)[:-1])

    @property
    def calls(self) -> _Array:
        """The (K + 1,) calls of all cells."""
        return np.asarray(self.called + self.judged.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """True shares of K classes with the covariance of their unconstrained estimate."""

    shares: _Array  # (K,) not negative, sum 1
    covariance: _Array  # (K, K)


def corrected(
    tally: SpecimenTally, confusion: Confusion, classes: Sequence[CellClass], confidence: float
) -> dict[CellClass, CorrectedShare]:
    """Return the corrected share of each of `classes`; nothing when the matrix cannot serve for these cells.

    It cannot when no cell was counted, when one of its classes has no labelled cell, when more cells were abstained
    than of any of its classes, and when persons found other than the expected number of calls wrong. Cells that were
    abstained and would not have been counted are in neither sample.
    """
    counts = np.array(confusion.counts, dtype=np.float64)
    seen = _seen(tally, confusion)
    fit = _fitted(seen, counts) if _serves(seen.calls, counts) else None
    counted = np.array([CellClass(name) not in NOT_COUNTED for name in confusion.classes], dtype=np.float64)
    if fit is None or counted @ fit.shares <= 0 or not _agrees(seen, fit, counts):
        return {}
    cells = seen.called.sum() + seen.given.sum()
    known = {name: n / cells for name, n in seen.known.items()}
    chosen = {c: np.array([name == c for name in confusion.classes], dtype=np.float64) for c in classes}
    return {
        c: _share(fit, (one, counted), (known.get(c, 0.0), sum(known.values())), confidence)
        for c, one in chosen.items()
        if one.any()
    }


def use_of(tally: SpecimenTally, confusion: Confusion) -> Use:
    """Return what the matrix is good for in a specimen of which persons judged cells."""
    counts, seen = np.array(confusion.counts, dtype=np.float64), _seen(tally, confusion)
    if not seen.called.any():
        return Use.NEEDLESS
    if not _serves(seen.calls, counts):
        return Use.NONE
    return Use.OF_OTHERS if _agrees(seen, _fitted(seen, counts), counts) else Use.UNFIT


def beside(
    tally: SpecimenTally, counted: Mapping[CellClass, Share], confusion: Confusion, confidence: float
) -> list[dict[str, Any]]:
    """Return each counted share with the corrected one beside it; None where the matrix cannot serve.

    Where a person judged every cell there is nothing to correct: both are the same.
    """
    found: Mapping[CellClass, Share | CorrectedShare] = counted
    if _seen(tally, confusion).called.any() or not tally.judged:
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


def _seen(tally: SpecimenTally, confusion: Confusion) -> _Seen:
    place = {name: no for no, name in enumerate(confusion.classes)}
    last = len(place)
    judged = np.zeros((last + 1, last + 1))
    called = np.array([tally.counts.get(name, 0) for name in confusion.classes] + [tally.abstained], dtype=np.float64)
    known: Counter[str] = Counter()
    for call, given in tally.judged.items():
        for name, cells in given.items():
            if name in place:
                called[place[name]] -= cells
            if call != APART:
                judged[place.get(call, last), place.get(name, last)] += cells
            if (call == APART or name not in place) and CellClass(name) not in NOT_COUNTED:
                known[name] += cells
    return _Seen(called=called, judged=judged, known=known)


def _serves(called: _Array, counts: _Array) -> bool:
    cells, labelled = called.sum(), counts.sum(axis=1)
    if cells == 0 or labelled.min() == 0:
        return False
    most = float((counts[:, -1] / labelled).max())
    error = math.sqrt(max(most * (1 - most), 1 / cells) * (1 / cells + 1 / labelled.min()))
    return bool(called[-1] / cells <= most + _BEYOND * error)


def _agrees(seen: _Seen, fit: _Fit, counts: _Array) -> bool:
    """Tell whether as many of the judged calls were wrong as is to be expected of these cells."""
    judged = seen.judged[:-1].sum(axis=1)
    cells = judged.sum()
    if cells == 0:
        return True
    rows = _smooth(counts)
    calls = (fit.shares @ rows)[:-1]
    right = np.diag(rows) * fit.shares / calls
    expected = float(judged @ (1 - right) / cells)
    found = float(1 - np.trace(seen.judged[:-1, :-1]) / cells)
    # How the expectation changes with a class's chance of a call, for each cell of the class.
    slope = (np.eye(len(rows)) - right) * judged / calls / cells
    of_shares = (slope * rows[:, :-1]).sum(axis=1)
    variance = max(expected * (1 - expected), 1 / cells) / cells + of_shares @ fit.covariance @ of_shares
    for share, one, row, labelled in zip(fit.shares, slope, rows, counts.sum(axis=1), strict=True):
        variance += share**2 * (one @ _multinomial(row)[:-1, :-1] @ one) / (labelled + 1)
    return abs(found - expected) <= _BEYOND * math.sqrt(variance)


def _smooth(counts: _Array) -> _Array:
    # A count of zero is no certainty: one cell, spread over its columns, is added to each row of the matrix.
    return np.asarray((counts + 1 / counts.shape[1]) / (counts.sum(axis=1)[:, None] + 1))


def _fitted(seen: _Seen, counts: _Array) -> _Fit:
    rows, ways = _smooth(counts), _ways(seen)
    cells = seen.called.sum() + seen.given.sum()
    shares = _most_likely(seen.called / cells, seen.given / cells, rows)
    told = np.concatenate([seen.called + _FEW, seen.given + _FEW_GIVEN])[: len(ways[0])]
    told = told / told.sum()
    variance = _multinomial(told) / cells
    for share, row, number, way in zip(shares, rows, counts.sum(axis=1), ways, strict=True):
        variance += share**2 * (way @ _multinomial(row) @ way.T) / (number + 1)
    weights = np.sqrt(1 / told)
    expected = np.stack([way @ row for way, row in zip(ways, rows, strict=True)], axis=1)
    inverse = np.linalg.pinv(expected * weights[:, None]) * weights
    return _Fit(shares=shares, covariance=inverse @ variance @ inverse.T)


def _ways(seen: _Seen) -> list[_Array]:
    """Return for each class how its chances of calls come out as cells that nobody judged and as judged ones of it.

    (K + 1, K + 1) where nobody judged a cell, else (2 K + 1, K + 1): of each call a part was judged.
    """
    classes, judged = len(seen.given), seen.judged.sum(axis=1)
    part = judged / np.maximum(seen.calls, 1)
    if not judged.any():
        return [np.diag(1 - part)] * classes
    return [np.vstack([np.diag(1 - part), np.outer(one, part)]) for one in np.eye(classes)]


def _most_likely(called: _Array, given: _Array, rows: _Array) -> _Array:
    """Return the (K,) shares under which calls (K + 1,) and judged cells (K,), as parts of all, are most probable."""
    shares = np.full(len(rows), 1 / len(rows))
    for _ in range(_STEPS):
        before, shares = shares, shares * (rows @ (called / (shares @ rows))) + given
        if np.abs(shares - before).max() < _STILL:
            break
    return shares


def _multinomial(shares: _Array) -> _Array:
    return np.asarray(np.diag(shares) - np.outer(shares, shares), dtype=np.float64)


def _share(fit: _Fit, rows: tuple[_Array, _Array], known: tuple[float, float], confidence: float) -> CorrectedShare:
    """Return a share; `rows` choose its class and the counted ones, `known` are cells beside the fit, likewise."""
    one, counted = rows
    whole = float(counted @ fit.shares) + known[1]
    value = (float(one @ fit.shares) + known[0]) / whole
    slope = (one - value * counted) / whole
    margin = float(ndtri((1 + confidence) / 2)) * math.sqrt(float(slope @ fit.covariance @ slope))
    return CorrectedShare(value=value, ci_low=max(0.0, value - margin), ci_high=min(1.0, value + margin))
