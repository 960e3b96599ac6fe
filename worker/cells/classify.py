"""From crops to calls: one forward pass, calibrated probabilities, abstention below the card's limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worker.cells.preprocess import Pixels, resized, to_input
from worker.nets.registry import Model


@dataclass(frozen=True, kw_only=True)
class Calls:
    """One row per crop, classes in the order of the model's card."""

    probabilities: NDArray[np.float32]  # (N, K), rows sum to 1
    index: NDArray[np.int64]  # (N,) the most probable class
    abstained: NDArray[np.bool_]  # (N,) its probability lies below the card's limit


def classify(crops: Pixels, model: Model, *, batch: int = 64) -> Calls:
    """Call (N, S, S, 3) uint8 RGB crops at the model's µm/px, S the card's crop_px, `batch` at a time.

    A crop's probabilities do not depend on its neighbours in the batch beyond float32 rounding.
    Raises ValueError for crops of another size.
    """
    size = model.card.crop_px
    if crops.shape[1:] != (size, size, 3):
        raise ValueError(f"{model.card.name} takes ({size}, {size}, 3) crops, not {crops.shape[1:]}")
    parts = [_probabilities(crops[start : start + batch], model) for start in range(0, len(crops), batch)]
    probabilities = np.concatenate(parts) if parts else np.empty((0, len(model.card.classes)), dtype=np.float32)
    return Calls(
        probabilities=probabilities,
        index=probabilities.argmax(axis=1),
        abstained=probabilities.max(axis=1, initial=0.0) < model.card.abstain_below,
    )


def _probabilities(crops: Pixels, model: Model) -> NDArray[np.float32]:
    card = model.card
    values = torch.from_numpy(to_input(resized(crops, card.input_px or card.crop_px), card.mean, card.std))
    with torch.inference_mode():
        ready = values.to(model.device).contiguous(memory_format=torch.channels_last)
        logits = model.net(ready) / card.temperature
        return torch.softmax(logits, dim=1).cpu().numpy()
