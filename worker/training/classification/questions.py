"""The questions of an evaluation put to finished weights: cells of groups that did not train them, set by set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.cells.classify import Calls
from worker.training.classification.data import CLASSES, CropSet
from worker.training.classification.evaluation import tasks
from worker.training.classification.evaluation.intervals import drawn_statistics, figure, group_draws
from worker.training.classification.evaluation.metrics import statistics
from worker.training.classification.evaluation.outcome import Outcome

PARTS = ("val", "test")
"""The validation part chose epoch, temperature and limits; the test part nothing."""
NAMES = ("balanced_accuracy", "auc")

Probabilities = NDArray[np.float32]


def questions(call: Callable[..., Calls], parts: Mapping[str, CropSet]) -> dict[str, Any]:
    """Return by part and task how many cells and groups were asked, and each of NAMES with its interval over groups.

    `call(crops=…)` are the calls of the product. Tasks on whole fields are left out, and those of which a part has
    cells of one class only.
    """
    found: dict[str, Any] = {}
    for name in PARTS:
        for task in tasks.TASKS:
            if task.unit == tasks.CELL and (own := _asked(parts[name], task)) is not None:
                found.setdefault(name, {})[task.name] = _figures(call, own, task)
    return found


def _asked(crops: CropSet, task: tasks.Task) -> CropSet | None:
    if not tasks.is_present(crops, task):
        return None
    own = tasks.asked(crops, task)
    return own if len(np.unique(own.keys())) > 1 else None


def _figures(call: Callable[..., Calls], own: CropSet, task: tasks.Task) -> dict[str, Any]:
    outcome = Outcome(
        task=task.name,
        protocol="grouped",
        arch="finished weights",
        classes=own.classes,
        positive=(task.positive,) if task.positive else (),
        truth=own.allowed.argmax(axis=1),
        probabilities=answers(call(crops=own).probabilities, own.classes, task),
        group=own.group,
        unit=tasks.unit_names(own, task),
        fold=np.zeros(len(own), dtype=np.int64),
        temperature=np.ones(len(own), dtype=np.float32),
        seed=0,
        grouping=task.grouping,
    )
    values, drawn = (
        statistics(outcome, np.ones((1, len(own)))),
        drawn_statistics(outcome, group_draws(own.group.tolist())),
    )
    groups = len(np.unique(own.group))
    figures = {name: asdict(figure(round(float(values[name][0]), 4), drawn[name], groups)) for name in NAMES}
    return {"cells": len(own), "groups": groups, **figures}


def answers(probabilities: Probabilities, classes: tuple[str, ...], task: tasks.Task) -> Probabilities:
    """Return (N, K) what (N, len(CLASSES)) calls say of a task's K classes; rows sum to 1.

    Where a marker is looked for, its classes together stand against all others; else the task's classes share
    what is said of them.
    """
    if task.marker:
        marked = probabilities[:, tasks.looked_for(CLASSES, task)].sum(axis=1)
        return np.stack([1 - marked, marked], axis=1)
    said = probabilities[:, [CLASSES.index(name) for name in classes]]
    return np.asarray(said / said.sum(axis=1, keepdims=True), dtype=np.float32)
