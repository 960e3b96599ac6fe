"""Labelled crops through the product's own path, so that what is calibrated and judged is what will be called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from worker.cells.classify import Calls, classify, features
from worker.cells.preprocess import Pixels
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.outliers import Outliers
from worker.nets.registry import Model
from worker.training.augment import centred
from worker.training.classification.data import CropSet

_BATCH = 64


def called(net: Classifier, crops: CropSet, card: Card, outliers: Outliers | None = None) -> Calls:
    """Return the calls of the crops' middles by a network and its card, on the device that the network is on."""
    return classify(_middles(crops, card), _model(net, card, outliers), crops.measured, batch=_BATCH)


def features_of(net: Classifier, crops: CropSet, card: Card) -> torch.Tensor:
    """Return the (N, F) float32 features of the crops' middles, on the CPU."""
    middles, model = _middles(crops, card), _model(net, card, None)
    parts = [features(middles[start : start + _BATCH], model).cpu() for start in range(0, len(crops), _BATCH)]
    return torch.cat(parts) if parts else torch.empty(0, net.head.in_features)


def _model(net: Classifier, card: Card, outliers: Outliers | None) -> Model:
    net.eval()
    device = next(net.parameters()).device
    if outliers is None:
        return Model(card=replace(card, outlying_above=0.0), net=net, device=device)
    return Model(card=card, net=net, device=device, outliers=outliers.to(device))


def _middles(crops: CropSet, card: Card) -> Pixels:
    """Return the (N, S, S, 3) middles of the crops, S the card's crop_px."""
    out = np.empty((len(crops), card.crop_px, card.crop_px, 3), dtype=np.uint8)
    for middle, pixels in zip(out, crops.pixels, strict=True):
        middle[...] = centred(pixels, card.crop_px)
    return out
