"""Whether a calibrated model is as often right as it claims, and whether abstaining spares it its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.records import CellClass
from worker.training.classification.data import CropSet
from worker.training.classification.evaluate import Probabilities, judged
from worker.training.classification.evaluation.outcome import Outcome
from worker.training.classification.evaluation.reliability import reliability

COVERAGE = 0.9
"""Share of the cells that is still called where the error of the rest is looked at."""

_BLASTS = (CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answers:
    """What was answered to labels of which each names one group of classes."""

    probabilities: NDArray[np.float64]  # (N, G) of the groups
    truth: NDArray[np.int64]  # (N,)
    names: tuple[str, ...]


def certainty(found: Probabilities, crops: CropSet) -> dict[str, Any]:
    """Return the calibration error, its limit for a perfect model, and the error with and without abstaining.

    To be called with crops that nothing was calibrated on. Where some label leaves the lineage of a blast open, both
    kinds of blasts are one answer throughout, whatever the crop, so that how sure an answer is does not depend on what
    is right; crops whose label leaves anything else open are left out. Raises ValueError when no crop has a label that
    can be judged.
    """
    rows = answerable(crops)
    if not rows.any():
        raise ValueError("no crop has a label that can be judged")
    answers = _answers(found[rows], crops.where(rows))
    curve = reliability(_outcome(answers))
    sure, right = answers.probabilities.max(axis=1), answers.probabilities.argmax(axis=1) == answers.truth
    whole, rest = float(1 - right.mean()), error_at(sure, right, COVERAGE)
    return {
        "crops": int(rows.sum()),
        "calibration_error": round(curve.error, 4),
        "calibration_error_of_perfect_95": round(curve.limit, 4),
        "is_calibrated": curve.is_calibrated,
        "error": round(whole, 4),
        "coverage": COVERAGE,
        "error_at_coverage": round(rest, 4),
        "halves": 2 * rest <= whole,
    }


def answerable(crops: CropSet) -> NDArray[np.bool_]:
    """Return (N,) which crops have a label that is judged and names one group of classes."""
    group = _groups(crops)
    lowest = np.where(crops.allowed, group, len(group)).min(axis=1)
    highest = np.where(crops.allowed, group, -1).max(axis=1)
    return np.asarray(judged(crops) & (lowest == highest), dtype=np.bool_)


def error_at(sure: NDArray[np.float64], right: NDArray[np.bool_], coverage: float) -> float:
    """Return the share of wrong answers among the surest `coverage` of them, at least one."""
    kept = max(1, int(np.floor(coverage * len(sure))))
    surest = np.argsort(-sure, kind="stable")[:kept]
    return float(1 - right[surest].mean())


def _answers(found: Probabilities, crops: CropSet) -> _Answers:
    group = _groups(crops)
    summed = found.astype(np.float64) @ np.eye(group.max() + 1)[group]
    names = tuple(
        "|".join(n for n, g in zip(crops.classes, group, strict=True) if g == k) for k in range(group.max() + 1)
    )
    return _Answers(
        probabilities=summed / summed.sum(axis=1, keepdims=True), truth=group[crops.allowed.argmax(axis=1)], names=names
    )


def _groups(crops: CropSet) -> NDArray[np.int64]:
    """Return (K,) the number of the group of each class: blasts are one where a label leaves their lineage open."""
    group = np.arange(len(crops.classes))
    blasts = np.isin(crops.classes, _BLASTS)
    if blasts.sum() > 1 and (crops.allowed == blasts).all(axis=1).any():
        group[blasts] = group[blasts].min()
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def _outcome(answers: _Answers) -> Outcome:
    rows = np.arange(len(answers.truth))
    names = rows.astype(np.str_)
    return Outcome(
        task="held out",
        protocol="grouped",
        arch="one model",
        classes=answers.names,
        positive=(),
        truth=answers.truth,
        probabilities=answers.probabilities.astype(np.float32),
        group=names,
        unit=names,
        fold=np.zeros(len(rows), dtype=np.int64),
        temperature=np.ones(len(rows), dtype=np.float32),
        seed=0,
    )
