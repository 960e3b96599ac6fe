"""Measures the cells of training crops, and fits what weighs measurements beside pictures.

The fit takes seconds, so it is made anew whenever a network is finished. Photographed and drawn cells of one label from
one source are drawn in proportion to the square root of their number: neither the largest set nor the smallest decides.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from worker.cells.measures import NAMES, Find, Measured, chosen, of_crops
from worker.nets.cards import Card
from worker.nets.classifier import Classifier
from worker.nets.morphology import Morphology
from worker.training.classification.data import MPP_UM, CropSet
from worker.training.classification.loop import partial_loss
from worker.workshop import Tell

WEIGHT = 0.5
"""Of the measurements' log-probabilities beside the picture's: 0.3 to 0.7 do as well (docs/classification.md)."""
LEAST = 200
"""Training cells that could be measured, without which nothing is fitted."""
_EPOCHS, _BATCH, _PEAK_LR, _DECAY, _SMOOTHING = 60, 256, 3e-3, 1e-2, 0.05
_PIECE = 500


def with_measures(crops: CropSet, kept: Path, find: Find, tell: Tell) -> CropSet:
    """Return the crops with what is measured of their cells, from the file `kept` where these were measured before."""
    digest = hashlib.sha256(np.ascontiguousarray(crops.pixels).data).hexdigest()
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as arrays:
            if arrays["crops_sha256"] == digest:
                return replace(crops, measured=arrays["measured"])
    parts = []
    for start in range(0, len(crops), _PIECE):
        parts.append(of_crops(crops.pixels[start : start + _PIECE], MPP_UM, find))
        tell("cells measured", min(start + _PIECE, len(crops)), len(crops))
    measured = np.concatenate(parts)
    part = kept.with_suffix(".part.npz")
    np.savez(part, measured=measured, crops_sha256=digest)
    part.replace(kept)
    return replace(crops, measured=measured)


def weighing(net: Classifier, train: CropSet, card: Card) -> Card:
    """Fit to the training cells what weighs measurements, give it to the network and return the card that says so.

    Both stay as they are where the cells were not measured, or fewer than LEAST could be.
    """
    if train.measured is None:
        return card
    values = chosen(train.measured, NAMES)
    found = np.asarray(np.isfinite(values).all(axis=1), dtype=np.bool_)
    if found.sum() < LEAST:
        return card
    net.morphology = fitted(train.where(found), values[found], card.seed)
    return replace(card, measures=NAMES, measures_weight=WEIGHT)


def fitted(train: CropSet, values: Measured, seed: int) -> Morphology:
    """Return what weighs measurements, (N, M) of the cells of N crops, in evaluation mode.

    AdamW (Loshchilov and Hutter, ICLR 2019) over one cycle of the learning rate; the same loss as the network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Morphology(values.shape[1], train.allowed.shape[1])
        measured, allowed = torch.from_numpy(values), torch.from_numpy(train.allowed)
        net.centre.copy_(measured.mean(dim=0))
        net.scale.copy_(measured.std(dim=0).clamp_min(1e-6))
        steps = math.ceil(_EPOCHS * len(train) / _BATCH)
        adam = torch.optim.AdamW(net.parameters(), _PEAK_LR, weight_decay=_DECAY)
        pace = torch.optim.lr_scheduler.OneCycleLR(adam, _PEAK_LR, total_steps=steps)
        chances = torch.from_numpy(_chances(train))
        for _ in range(steps):
            rows = torch.multinomial(chances, _BATCH, replacement=True)
            loss = partial_loss(net(measured[rows]), allowed[rows], _SMOOTHING)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            pace.step()
    return net.eval().requires_grad_(requires_grad=False)


def _chances(train: CropSet) -> NDArray[np.float64]:
    """Return (N,) how often each crop is drawn, in proportion."""
    strata = np.char.add(np.char.add(train.source, "/"), train.keys())
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    return np.asarray(1 / np.sqrt(sizes[stratum]), dtype=np.float64)
