"""From crops to calls: calibrated probabilities, abstention by the card's limits.

A card may name measurements of each cell, which a small network of their own weighs beside the picture.
A card may ask for several turned and mirrored copies of each crop: a cell has no upper side, and the mean of what is
said of the copies errs less and knows better when it errs (docs/uncertainty.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worker.cells.features import NAMES
from worker.cells.measures import Measured, chosen
from worker.cells.preprocess import Pixels, prepare, resized, to_input, turned
from worker.errors import ServiceError
from worker.nets.cards import Colour, Denoise
from worker.nets.registry import Model

_Answer = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""The probabilities of some crops, (N, K), and which of them are outlying, (N,)."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """One row per crop, classes in the order of the model's card."""

    probabilities: NDArray[np.float32]  # (N, K), rows sum to 1
    index: NDArray[np.int64]  # (N,) the most probable class
    abstained: NDArray[np.bool_]  # (N,) its probability lies below the card's limit, or it is outlying
    outlying: NDArray[np.bool_]  # (N,) unlike any cell that the network was trained on; none without statistics


def classify(crops: Pixels, model: Model, measured: Measured | None = None, *, batch: int = 64) -> Calls:
    """Call (N, S, S, 3) uint8 RGB crops at the model's µm/px, S the card's crop_px, `batch` at a time.

    `measured` is (N, F), the features of the cells in the order of worker.cells.features.NAMES, NaN for a cell that
    could not be measured: asked for by a model whose card names measures, of no use to another.

    A crop's probabilities do not depend on its neighbours in the batch beyond float32 rounding.
    Where the device has no memory for `batch` crops, they go in halves: the calls stay the same.
    Raises ValueError for crops of another size or measurements that are lacking, ModelError for a card with a measure
    that this version does not know, ServiceError when there is no memory for a single crop.
    """
    size = model.card.crop_px
    if crops.shape[1:] != (size, size, 3):
        raise ValueError(f"{model.card.name} takes ({size}, {size}, 3) crops, not {crops.shape[1:]}")
    beside = _said_of(measured, len(crops), model)
    parts = [
        part
        for start in range(0, len(crops), batch)
        for part in _fitting(crops[start : start + batch], beside[start : start + batch], model)
    ]
    parts = parts or [(np.empty((0, len(model.card.classes)), dtype=np.float32), np.empty(0, dtype=np.bool_))]
    probabilities, outlying = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Calls(
        probabilities=probabilities,
        index=probabilities.argmax(axis=1),
        abstained=(probabilities.max(axis=1, initial=0.0) < model.card.abstain_below) | outlying,
        outlying=outlying,
    )


def features(crops: Pixels, model: Model) -> torch.Tensor:
    """Return the (N, F) features, on the model's device, of crops as `classify` takes them: one forward pass."""
    card = model.card
    shown = prepare(
        resized(crops, card.input_px or card.crop_px), colour=Colour(card.colour), denoise=Denoise(card.denoise)
    )
    values = torch.from_numpy(to_input(shown, card.mean, card.std))
    with torch.inference_mode():
        return model.net.features(values.to(model.device).contiguous(memory_format=torch.channels_last))


def _said_of(measured: Measured | None, cells: int, model: Model) -> torch.Tensor:
    """Return (N, K), on the model's device, what to add to the log-probabilities of the cells' pictures."""
    card = model.card
    if model.net.morphology is None:
        return torch.zeros(cells, len(card.classes), device=model.device)
    if measured is None or measured.shape != (cells, len(NAMES)):
        given = "none" if measured is None else f"those of shape {measured.shape}"
        raise ValueError(f"{card.name} weighs ({cells}, {len(NAMES)}) measurements of cells, not {given}")
    values = torch.from_numpy(chosen(measured, card.measures)).to(model.device)
    with torch.inference_mode():
        said: torch.Tensor = card.measures_weight * model.net.morphology(values)
    return said


def _fitting(crops: Pixels, beside: torch.Tensor, model: Model) -> Iterator[_Answer]:
    """Yield the calls of the crops in order, in as many parts as the device's memory needs."""
    try:
        fits = [_called(crops, beside, model)]
    except torch.OutOfMemoryError:
        fits = []
    # Out here the error, which holds on to every tensor of the pass that failed, is gone.
    if fits:
        yield from fits
        return
    if len(crops) == 1:
        raise ServiceError(f"{model.device} has no memory for one crop: something else uses it, or it is too small")
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    half = len(crops) // 2
    yield from _fitting(crops[:half], beside[:half], model)
    yield from _fitting(crops[half:], beside[half:], model)


def _called(crops: Pixels, beside: torch.Tensor, model: Model) -> _Answer:
    seen = features(crops, model)
    others = [features(turned(crops, turn), model) for turn in range(1, model.card.turns)]
    with torch.inference_mode():
        said = torch.stack([torch.log_softmax(model.net.head(one), dim=1) for one in (seen, *others)])
        # Their sum stands for their mean, as the softmax takes the factor out again.
        probabilities = torch.softmax((said.logsumexp(dim=0) + beside) / model.card.temperature, dim=1).cpu().numpy()
        if model.outliers is None:
            return probabilities, np.zeros(len(crops), dtype=np.bool_)
        return probabilities, (model.outliers.scores(seen) > model.card.outlying_above).cpu().numpy()
