"""The confusion matrix of a calibrated model, which goes onto its card and corrects the shares of its calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from db.records import NOT_COUNTED, CellClass, Confusion
from worker.cells.classify import Calls
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.outliers import Outliers
from worker.training.classification.called import called
from worker.training.classification.data import CropSet, is_drawn

_ENOUGH = 10
"""A class of fewer photographed crops is counted with its drawn ones."""


def with_confusion(net: Classifier, crops: CropSet, card: Card, outliers: Outliers | None = None) -> Card:
    """Return the card with the confusion of crops on which the network was neither trained nor calibrated.

    The figures say under `confusion_drawn` of which classes drawn crops had to be counted.
    """
    crops = crops.where(crops.allowed.sum(axis=1) == 1)
    chosen, drawn = _chosen(crops)
    crops = crops.where(chosen)
    matrix = confusion(called(net, crops, card, outliers), crops)
    figures = {**card.figures, "confusion_drawn": drawn}
    stated = {"classes": list(matrix.classes), "counts": [list(row) for row in matrix.counts]}
    return replace(card, confusion=stated, figures=figures)


def confusion(calls: Calls, crops: CropSet) -> Confusion:
    """Return how often crops of each class were called what; crops whose label leaves classes open are left out.

    As in a patient's counts, an abstained crop is one only where its most probable class would have been counted.
    """
    named = crops.allowed.sum(axis=1) == 1
    counted = np.array([CellClass(name) not in NOT_COUNTED for name in crops.classes])
    column = np.where(calls.abstained, len(crops.classes), calls.index)
    kept = named & (~calls.abstained | counted[calls.index])
    counts = np.zeros((len(crops.classes), len(crops.classes) + 1), dtype=np.int64)
    np.add.at(counts, (crops.allowed[kept].argmax(axis=1), column[kept]), 1)
    return Confusion(classes=crops.classes, counts=tuple(tuple(map(int, row)) for row in counts))


def _chosen(crops: CropSet) -> tuple[NDArray[np.bool_], list[str]]:
    """Return (N,) which crops to count, and the classes of which drawn ones are among them."""
    drawn, label = is_drawn(crops), crops.allowed.argmax(axis=1)
    photographed = np.bincount(label[~drawn], minlength=len(crops.classes))
    with_drawn = photographed < _ENOUGH
    names = [name for k, name in enumerate(crops.classes) if (drawn & (label == k)).any() and with_drawn[k]]
    return np.asarray(~drawn | with_drawn[label], dtype=np.bool_), names
