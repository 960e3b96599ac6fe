"""The eight systems behind one call: what each says of crops it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.cells.preprocess import turned
from worker.errors import BadRequestError
from worker.nets.architectures import NETWORKS, Classifier
from worker.training.classification.calibrate import at_temperature, best_temperature
from worker.training.classification.data import CropSet
from worker.training.classification.evaluate import Probabilities, probabilities
from worker.training.classification.evaluation.tasks import Task, units
from worker.training.classification.recipe import Recipe

SVM, COLOUR = "svm", "colour"
SYSTEMS = ("hybrid", *(arch for arch in NETWORKS if arch != "hybrid"), SVM, COLOUR)
ALL = "all"
_LEAST_TO_CALIBRATE = 30
"""A temperature fitted on fewer units would be noise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Called:
    """What is said of U units: (U, K) probabilities, the temperature behind them, and the first crop of each."""

    probabilities: Probabilities
    temperature: float
    first: NDArray[np.int64]


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the systems of these names, every one for `all`; raises BadRequestError for another name."""
    if unknown := sorted(set(names) - {*SYSTEMS, ALL}):
        raise BadRequestError(f"no system is called {', '.join(unknown)}: use {', '.join(SYSTEMS)} or {ALL}")
    return tuple(system for system in SYSTEMS if ALL in names or system in names)


def seen_turned(net: Classifier, crops: CropSet, recipe: Recipe, turns: int) -> Probabilities:
    """Return (N, K) the mean of the probabilities of the first `turns` of eight turned and mirrored copies."""
    total = np.zeros((len(crops), len(crops.classes)), dtype=np.float32)
    for turn in range(turns):
        total += probabilities(net, replace(crops, pixels=turned(crops.pixels, turn)), recipe)
    return np.asarray(total / turns, dtype=np.float32)


def called(val: tuple[CropSet, Probabilities], test: tuple[CropSet, Probabilities], task: Task) -> Called:
    """Return what is said of the test part's units, calibrated on the validation part's.

    A unit's probabilities are the mean of its crops'; a temperature is fitted to them where there are enough units.
    """
    own, at_one, _ = _of_units(*val, task)
    temperature = best_temperature(at_one, own) if len(own) >= _LEAST_TO_CALIBRATE else 1.0
    _, found, first = _of_units(*test, task)
    return Called(probabilities=at_temperature(found, temperature), temperature=temperature, first=first)


def _of_units(crops: CropSet, found: Probabilities, task: Task) -> tuple[CropSet, Probabilities, NDArray[np.int64]]:
    first, unit_of = units(crops, task)
    sums = np.zeros((len(first), found.shape[1]), dtype=np.float64)
    np.add.at(sums, unit_of, found)
    return crops.where(first), (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32), first
