"""What `marrowline predict --json` says of a field."""

from __future__ import annotations

from typing import Any

from db.records import Cell, CellClass
from worker.errors import BadSlideError
from worker.fuzzy.inputs import Field, counts
from worker.fuzzy.mamdani import Inference
from worker.fuzzy.released import DEFAULT_SYSTEM, SYSTEMS
from worker.nets.cards import Card
from worker.outputs.panel import NOTICE
from worker.predict import Prediction

_SHOWN_FEATURES = ("nucleus_area_um2", "cell_area_um2", "nc_ratio", "circularity", "solidity")


def document_of(prediction: Prediction, card: Card) -> dict[str, Any]:
    """Return a prediction as JSON; `card` is that of the model behind it."""
    counted = prediction.field.counted
    return {
        "cancer": prediction.cancer,
        "type": prediction.disease,
        "probability": None if prediction.probability is None else round(prediction.probability, 4),
        "reason": prediction.reason,
        "fuzzy": _fuzzy(prediction.inference),
        "cells": [_cell(cell, prediction.field) for cell in prediction.field.cells],
        "counted": len(counted),
        "abstained": sum(cell.abstained for cell in counted),
        "mpp_um": prediction.scale.mpp_um,
        "mpp_source": prediction.scale.source,
        "model": {"name": card.name, "weights_sha256": card.weights_sha256},
        "error_code": None,
        "use": NOTICE,
    }


def told_probability(probability: float) -> str:
    """Return a probability for people, to three places; the calls bear no more."""
    if probability < 0.001:
        return "below 0.001"
    return "above 0.999" if probability > 0.999 else f"{probability:.3f}".rstrip("0")


def refused_document(refused: BadSlideError) -> dict[str, Any]:
    """Return the answer for a picture of which nothing can be said, in the same shape."""
    return {
        "cancer": None,
        "type": None,
        "probability": None,
        "reason": refused.cause,
        "fuzzy": _fuzzy(None),
        "cells": [],
        "error_code": refused.code,
        "remedy": refused.remedy,
        "use": NOTICE,
    }


def _fuzzy(inference: Inference | None) -> dict[str, Any]:
    """Return an inference with every rule that fired, the strongest first; without one its parts are empty."""
    if inference is None:
        return {"system": DEFAULT_SYSTEM, "inputs": {}, "rules": [], "scores": {}, "score": None}
    rules = zip(SYSTEMS[DEFAULT_SYSTEM].rules, inference.strengths, strict=True)
    fired = [
        {"rule": rule.text, "strength": round(strength, 4), "why": rule.why} for rule, strength in rules if strength > 0
    ]
    return {
        "system": DEFAULT_SYSTEM,
        "inputs": {name: None if value is None else round(value, 4) for name, value in inference.inputs.items()},
        "rules": sorted(fired, key=lambda rule: -float(str(rule["strength"]))),
        "scores": {disease: round(score, 4) for disease, score in inference.scores.items()},
        "score": round(max(inference.scores.values()), 4),
    }


def _cell(cell: Cell, field: Field) -> dict[str, Any]:
    return {
        "x_l0": round(cell.x_l0, 1),
        "y_l0": round(cell.y_l0, 1),
        "class": cell.cell_class,
        "probability": round(field.probability(cell, CellClass(cell.cell_class)), 4),
        "abstained": cell.abstained,
        "counted": counts(cell),
        "features": {name: round(cell.features[name], 3) for name in _SHOWN_FEATURES},
        "outline_l0": [list(corner) for corner in cell.outline_l0],
    }
