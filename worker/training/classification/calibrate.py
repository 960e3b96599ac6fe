"""Chooses, on validation crops, how sure a call may claim to be and when the network had better abstain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.training.classification.data import CropSet
from worker.training.classification.evaluate import Probabilities, correct, judged

_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(3.0), 80))
_LIMITS = np.arange(20, 91) / 100


def best_temperature(found: Probabilities, crops: CropSet) -> float:
    """Return the temperature under which the judged labels are most probable; `found` is at temperature 1.

    After Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    rows = judged(crops)
    logits, allowed = np.log(np.maximum(found[rows], 1e-12)), crops.allowed[rows]
    return float(min(_TEMPERATURES, key=lambda t: _surprise(logits / t, allowed)))


def abstain_limit(
    found: Probabilities, crops: CropSet, *, accepted_risk: float = 0.05, least_coverage: float = 0.95
) -> float:
    """Return the lowest limit at which at most `accepted_risk` of the calls above it are wrong.

    Where no limit reaches that while it still calls `least_coverage` of the cells: the highest that calls so many.
    """
    rows = judged(crops)
    best, right = found[rows].max(axis=1), correct(found[rows], crops.allowed[rows])
    reached = 0.0
    for limit in _LIMITS:
        called = best >= limit
        if called.mean() < least_coverage:
            return reached
        reached = float(limit)
        if 1 - right[called].mean() <= accepted_risk:
            return reached
    return reached


def _surprise(logits: NDArray[np.floating], allowed: NDArray[np.bool_]) -> float:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    inside = np.where(allowed, powers, 0).sum(axis=1) / powers.sum(axis=1)
    return float(-np.log(np.maximum(inside, 1e-12)).mean())
