"""What the card of a classifier states of groups it never saw: photographed and drawn cells, outliers, colour alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from worker.cells.classify import Calls
from worker.training.classification import evaluate
from worker.training.classification.certainty import certainty
from worker.training.classification.data import CropSet, is_drawn
from worker.training.classification.questions import questions


def figures_of(call: Callable[..., Calls], parts: Mapping[str, CropSet]) -> dict[str, Any]:
    """Return the figures on the test part, and those of each question; `call(crops=…)` are the calls of the product."""
    test, train = parts["test"], parts["train"]
    photographed, drawn = test.where(~is_drawn(test)), test.where(is_drawn(test))
    calls = call(crops=photographed)
    out: dict[str, Any] = {
        "photographed": evaluate.figures(calls.probabilities, photographed, calls.abstained),
        "certainty": certainty(calls.probabilities, photographed),
        "colour_only_baseline_balanced_accuracy": round(
            evaluate.colour_baseline(train.where(~is_drawn(train)), photographed), 3
        ),
        "questions": questions(call, parts),
    }
    if len(drawn):
        calls = call(crops=drawn)
        out["drawn"] = evaluate.figures(calls.probabilities, drawn, calls.abstained)
    outliers = test.where(np.logical_not(test.allowed.any(axis=1)))
    if len(outliers):
        out["outliers_abstained"] = round(float(call(crops=outliers).abstained.mean()), 3)
    return {"headline": _headline(out), **out}


def _headline(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return what a list of models shows of each."""
    return {
        "balanced_accuracy": figures["photographed"]["balanced_accuracy"],
        "colour_alone": figures["colour_only_baseline_balanced_accuracy"],
        "calibration_error": figures["certainty"]["calibration_error"],
    }
