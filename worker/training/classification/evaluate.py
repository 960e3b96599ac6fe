"""Figures of a classifier on labelled crops, and the colour-only baseline that belongs beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from worker.cells.preprocess import prepare, resized, to_input
from worker.training.augment import centred
from worker.training.classification.data import CLASSES, CROP_PX, CropSet, key
from worker.training.classification.recipe import Recipe

Probabilities = NDArray[np.float32]
_BATCH = 64
_JUDGED_UP_TO = 2
"""Labels of more classes than this say too little to call an answer right."""


def probabilities(net: nn.Module, crops: CropSet, recipe: Recipe, *, temperature: float = 1.0) -> Probabilities:
    """Return (N, K) probabilities of the crops' middles, shown as the recipe says and as inference computes them.

    On the device that the network is on. Precision "bfloat16" is for watching a training, where speed counts more.
    """
    net.eval()
    device, quick = next(net.parameters()).device, recipe.precision == "bfloat16"
    parts = [np.empty((0, len(crops.classes)), dtype=np.float32)]
    for start in range(0, len(crops), _BATCH):
        middles = np.stack([centred(p, recipe.crop_px) for p in crops.pixels[start : start + _BATCH]])
        shown = prepare(resized(middles, recipe.input_px), colour=recipe.colour, denoise=recipe.denoise)
        values = torch.from_numpy(to_input(shown, recipe.mean, recipe.std)).to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=quick):
            logits = net(values.contiguous(memory_format=torch.channels_last))
        parts.append(torch.softmax(logits.float() / temperature, dim=1).cpu().numpy())
    return np.concatenate(parts)


def judged(crops: CropSet) -> NDArray[np.bool_]:
    """Return (N,) which crops have a label narrow enough to be scored."""
    width, classes = crops.allowed.sum(axis=1), crops.allowed.shape[1]
    return np.asarray((width >= 1) & (width <= _JUDGED_UP_TO) & (width < classes), dtype=np.bool_)


def correct(found: Probabilities, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (N,) whether the label's classes together are more probable than any class outside it."""
    inside = np.where(allowed, found, 0).sum(axis=1)
    outside = np.where(allowed, 0, found).max(axis=1)
    return np.asarray(inside > outside, dtype=np.bool_)


def balanced_accuracy(found: Probabilities, crops: CropSet) -> float:
    """Return the mean over labels of the share called correctly; 0 without a judged crop."""
    recalls = _recalls(found, crops)
    return float(np.mean([value for value, _ in recalls.values()])) if recalls else 0.0


def figures(found: Probabilities, crops: CropSet, abstained: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what the card states about one set of crops."""
    rows = judged(crops)
    right = correct(found[rows], crops.allowed[rows])
    called = np.logical_not(abstained[rows])
    recalls = _recalls(found, crops)
    return {
        "crops": int(rows.sum()),
        "balanced_accuracy": round(balanced_accuracy(found, crops), 3),
        "recall": {label: round(value, 3) for label, (value, _) in recalls.items()},
        "count": {label: count for label, (_, count) in recalls.items()},
        "precision": _precisions(found[rows], crops.allowed[rows]),
        "coverage": round(float(called.mean()), 3) if len(called) else None,
        "accuracy_of_called": round(float(right[called].mean()), 3) if called.any() else None,
        "sources": _by_source(right, called, crops.where(rows)),
        "confusion": _confusion(found[rows], crops.where(rows)),
    }


def colour_baseline(train: CropSet, test: CropSet) -> float:
    """Return the balanced accuracy on `test` of a logistic regression on nine colour numbers, no morphology.

    A network that is not far better than this has learnt laboratories, not cells.
    """
    train, test = train.where(judged(train)), test.where(judged(test))
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    model.fit(colours(train), train.keys())
    told, keys = model.predict(colours(test)), test.keys()
    return float(np.mean([(told[keys == label] == label).mean() for label in np.unique(keys)]))


def colours(crops: CropSet) -> NDArray[np.float64]:
    """Return (N, 9): mean, standard deviation and tenth percentile of red, green and blue of the crops' middles."""
    values = np.stack([centred(p, CROP_PX).reshape(-1, 3) for p in crops.pixels]).astype(np.float64)
    return np.concatenate([values.mean(axis=1), values.std(axis=1), np.percentile(values, 10, axis=1)], axis=1)


def _recalls(found: Probabilities, crops: CropSet) -> dict[str, tuple[float, int]]:
    rows = judged(crops)
    right, keys = correct(found[rows], crops.allowed[rows]), crops.where(rows).keys()
    return {str(k): (float(right[keys == k].mean()), int((keys == k).sum())) for k in np.unique(keys)}


def _precisions(found: Probabilities, allowed: NDArray[np.bool_]) -> dict[str, float]:
    told = found.argmax(axis=1)
    return {c: round(float(allowed[told == n, n].mean()), 3) for n, c in enumerate(CLASSES) if (told == n).any()}


def _by_source(right: NDArray[np.bool_], called: NDArray[np.bool_], crops: CropSet) -> dict[str, Any]:
    out = {}
    for name in np.unique(crops.source):
        rows = crops.source == name
        out[str(name)] = {
            "crops": int(rows.sum()),
            "accuracy": round(float(right[rows].mean()), 3),
            "coverage": round(float(called[rows].mean()), 3),
        }
    return out


def _confusion(found: Probabilities, crops: CropSet) -> dict[str, dict[str, int]]:
    """Return how often each label was called each class."""
    out: dict[str, dict[str, int]] = {}
    for allowed, told in zip(crops.allowed, found.argmax(axis=1), strict=True):
        row = out.setdefault(key(allowed), {})
        row[CLASSES[told]] = row.get(CLASSES[told], 0) + 1
    return out
