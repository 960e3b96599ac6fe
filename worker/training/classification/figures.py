"""What the card of a classifier states: how sure its calls may be, and how well it did on groups it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.training.classification import calibrate, evaluate
from worker.training.classification.data import CropSet, is_drawn


def calibrated(net: Classifier, val: CropSet, card: Card) -> Card:
    """Return the card with the temperature and the limit of abstention that the validation crops ask for."""
    temperature = round(calibrate.best_temperature(_probabilities(net, card, val), val), 3)
    card = replace(card, temperature=temperature)
    return replace(card, abstain_below=calibrate.abstain_limit(_probabilities(net, card, val), val))


def figures_of(net: Classifier, card: Card, parts: Mapping[str, CropSet]) -> dict[str, Any]:
    """Return the figures on the test part, photographed and drawn cells apart."""
    test, found = parts["test"], partial(_probabilities, net, card)
    photographed = test.where(~is_drawn(test))
    out: dict[str, Any] = {"photographed": evaluate.figures(found(photographed), photographed, card.abstain_below)}
    drawn = test.where(is_drawn(test))
    if len(drawn):
        out["drawn"] = evaluate.figures(found(drawn), drawn, card.abstain_below)
    outliers = test.where(np.logical_not(test.allowed.any(axis=1)))
    if len(outliers):
        out["outliers_abstained"] = round(float((found(outliers).max(axis=1) < card.abstain_below).mean()), 3)
    train = parts["train"].where(~is_drawn(parts["train"]))
    out["colour_only_baseline_balanced_accuracy"] = round(evaluate.colour_baseline(train, photographed), 3)
    return out


def _probabilities(net: Classifier, card: Card, crops: CropSet) -> evaluate.Probabilities:
    return evaluate.probabilities(
        net,
        crops,
        card.input_px or card.crop_px,
        crop_px=card.crop_px,
        temperature=card.temperature,
        mean=card.mean,
        std=card.std,
    )
