"""Measures where the features of known cells lie, and from which distance on a cell is taken to be unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf
from torch.nn import functional

from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.outliers import Outliers
from worker.training.classification.called import features_of
from worker.training.classification.data import CropSet, is_drawn

KEPT = 0.99
"""Share of the validation cells that is not to be outlying."""
_AXES = 256
LEAST = 5
"""A class of fewer training crops has no mean of its own."""
_CLASSES = 2
"""So many classes with a mean at least: what is far from one class alone says nothing."""

_Array = NDArray[np.float64]


def fit_outliers(net: Classifier, train: CropSet, val: CropSet, card: Card) -> tuple[Outliers, Card]:
    """Return the statistics of the training cells of one class, and the card with the limit for their scores.

    The limit keeps KEPT of the known validation cells, of the photographed ones where there are any. Besides, the
    figures say under `outlying` how many cells of each photographed source are taken for outliers when statistics and
    limit are made without it: what a laboratory never seen has to expect, at the least, since the network has seen it.
    Raises ValueError when fewer than two classes have training crops enough.
    """
    train, val = _named(train), _known(val)
    seen, held = features_of(net, train, card).numpy(), features_of(net, val, card)
    outliers = fitted(seen, train.allowed)
    limit = _limit(outliers, held)
    figures = {"kept": KEPT, "left_out": _left_out(seen, train, held, val)}
    return outliers, replace(card, outlying_above=limit, figures={**card.figures, "outlying": figures})


def fitted(seen: NDArray[np.float32], allowed: NDArray[np.bool_]) -> Outliers:
    """Return the statistics of (N, F) features whose (N, K) labels allow one class each.

    The covariance within classes is shrunk after Ledoit and Wolf (J Multivar Anal 2004;88:365), on the axes of the
    largest variance. Raises ValueError when fewer than two classes have LEAST rows.
    """
    label = allowed.argmax(axis=1)
    names = _well_shown(allowed)
    if len(names) < _CLASSES:
        raise ValueError(f"statistics of outliers need two classes of {LEAST} training crops each")
    rows = np.isin(label, names)
    unit, label = _unit(seen[rows]), label[rows]
    centre = unit.mean(axis=0)
    axes = _axes(unit - centre)  # (F, D)
    placed = (unit - centre) @ axes
    means = np.stack([placed[label == k].mean(axis=0) for k in names])
    within, _ = ledoit_wolf(placed - means[np.searchsorted(names, label)], assume_centered=True)
    whiten = np.linalg.cholesky(np.linalg.inv(within))
    return Outliers(centre=_tensor(centre), projection=_tensor(axes @ whiten), means=_tensor(means @ whiten))


def can_be_fitted(train: CropSet) -> bool:
    """Tell whether `fit_outliers` has training crops enough."""
    return len(_well_shown(_named(train).allowed)) >= _CLASSES


def _well_shown(allowed: NDArray[np.bool_]) -> list[int]:
    """Return the classes with LEAST rows of (N, K) labels that allow one class each."""
    label = allowed.argmax(axis=1)
    return [int(k) for k in np.unique(label) if (label == k).sum() >= LEAST]


def _axes(centred: _Array) -> _Array:
    """Return the (F, D) axes of the largest variance, none of which is empty."""
    features = centred.shape[1]
    largest = (max(0, features - _AXES), features - 1)
    scales, axes = eigh(centred.T @ centred, subset_by_index=largest)  # rising
    filled = scales > 1e-9 * scales[-1]
    return np.asarray(axes[:, filled], dtype=np.float64)


def _left_out(seen: NDArray[np.float32], train: CropSet, held: torch.Tensor, val: CropSet) -> dict[str, float]:
    """Return for each photographed source of both sets its share of outliers when nothing is fitted to it."""
    out = {}
    for source in np.unique(val.source[~is_drawn(val)]):
        other, tested = train.source != source, val.source == source
        if other.all() or tested.all() or len(_well_shown(train.allowed[other])) < _CLASSES:
            continue
        without = fitted(seen[other], train.allowed[other])
        limit = _limit(without, held[torch.from_numpy(~tested)])
        scores = without.scores(held[torch.from_numpy(tested)])
        out[str(source)] = round(float((scores > limit).float().mean()), 3)
    return out


def _limit(outliers: Outliers, known: torch.Tensor) -> float:
    scores: _Array = outliers.scores(known).numpy().astype(np.float64)
    return round(float(np.quantile(scores, KEPT)), 4)


def _named(crops: CropSet) -> CropSet:
    return crops.where(crops.allowed.sum(axis=1) == 1)


def _known(crops: CropSet) -> CropSet:
    """Return the crops that are no outliers, the photographed ones where there are any."""
    crops = crops.where(np.asarray(crops.allowed.any(axis=1), dtype=np.bool_))
    photographed = np.logical_not(is_drawn(crops))
    return crops.where(photographed) if photographed.any() else crops


def _unit(seen: NDArray[np.float32]) -> _Array:
    return functional.normalize(torch.from_numpy(seen), dim=1).numpy().astype(np.float64)


def _tensor(values: _Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
