"""Chooses, on validation crops, how sure a call may claim to be and when the network had better abstain.

One temperature for all classes: a bias for each besides (vector scaling, Guo et al. 2017) was tried and left out. It
learns how common the classes are in the validation set, which says nothing of a patient's, and with the labels weighed
alike it lowered balanced accuracy on held-out groups (docs/uncertainty.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.training.classification.called import called
from worker.training.classification.data import CropSet, is_drawn
from worker.training.classification.evaluate import Probabilities, correct, judged

ACCEPTED_RISK, LEAST_COVERAGE = 0.05, 0.95
"""Of the calls made, at most so many wrong; but so many of the cells called at least."""
_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(3.0), 80))
_LIMITS = np.arange(20, 91) / 100


def calibrated(net: Classifier, val: CropSet, card: Card) -> Card:
    """Return the card with the temperature and the limit of abstention that validation crops ask for.

    Photographed crops alone decide where there are any: drawn ones are easier, and their share is arbitrary. What the
    limit is made for, and what it reached, is in the figures under `calibration`. Raises ValueError when no crop has a
    label that can be judged.
    """
    crops = _deciding(val)
    at_one = called(net, crops, replace(card, temperature=1.0, outlying_above=0.0)).probabilities
    temperature = round(best_temperature(at_one, crops), 3)
    found = at_temperature(at_one, temperature)
    limit = abstain_limit(found, crops)
    answered = found.max(axis=1) >= limit
    stated = {
        "crops": len(crops),
        "accepted_risk": ACCEPTED_RISK,
        "least_coverage": LEAST_COVERAGE,
        "risk": round(float(1 - correct(found, crops.allowed)[answered].mean()), 4) if answered.any() else None,
        "coverage": round(float(answered.mean()), 4),
    }
    figures = {**card.figures, "calibration": stated}
    return replace(card, temperature=temperature, abstain_below=limit, figures=figures)


def at_temperature(found: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities that a temperature makes of those at temperature 1."""
    powers = np.log(np.maximum(found, 1e-30)) / temperature
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _deciding(val: CropSet) -> CropSet:
    """Return the crops that are judged, the photographed ones where there are any."""
    crops = val.where(judged(val))
    if not len(crops):
        raise ValueError("no validation crop has a label that can be judged")
    photographed = np.logical_not(is_drawn(crops))
    return crops.where(photographed) if photographed.any() else crops


def best_temperature(found: Probabilities, crops: CropSet) -> float:
    """Return the temperature under which the judged labels are most probable; `found` is at temperature 1.

    After Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    rows = judged(crops)
    logits, allowed = np.log(np.maximum(found[rows], 1e-12)), crops.allowed[rows]
    return float(min(_TEMPERATURES, key=lambda t: _surprise(logits / t, allowed)))


def abstain_limit(
    found: Probabilities,
    crops: CropSet,
    *,
    accepted_risk: float = ACCEPTED_RISK,
    least_coverage: float = LEAST_COVERAGE,
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
