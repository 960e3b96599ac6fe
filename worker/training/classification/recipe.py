"""All that decides a training besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from worker.nets.cards import Colour, Denoise
from worker.nets.hybrid import FULL
from worker.training.classification.data import CROP_PX, MEAN, STD, STORED_PX

MOST_DRAWS_OF_A_CROP = 24
"""In an epoch, on average: as often as `evaluate` draws each, so that few crops are not gone through hundredfold."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; the same recipe, data and machine make the same weights."""

    arch: str = "hybrid"  # one of worker.nets.architectures.NETWORKS
    channels: tuple[int, ...] = FULL  # of its stages, see worker.nets.architectures.channels_of
    crop_px: int = CROP_PX  # side of what is seen of a crop
    input_px: int = 64  # what that is brought to
    early_px: int = 48  # the same in the first epochs, for speed
    colour: Colour = Colour.RGB  # what crops are converted to; mean and std are then of its channels
    denoise: Denoise = Denoise.NONE  # the filter before that
    mean: tuple[float, float, float] = MEAN  # of the three channels / 255, taken off
    std: tuple[float, float, float] = STD  # and divided by
    early_share: float = 0.6  # of the epochs
    epochs: int = 34
    draws: int = 3000  # crops an epoch
    label_power: float = 0.0  # a label is drawn by this power of its number of crops: 0 all alike, 1 as in the data
    partial_weight: float = 0.5  # how often a label of several classes, or an outlier, is drawn beside a class
    colour_change: float = 1.0  # how far colours are changed: less where training and use share a stain
    batch: int = 32
    peak_lr: float = 7e-4
    weight_decay: float = 2e-5
    smoothing: float = 0.05
    average: float = 0.995  # decay of the moving average of the weights
    patience: int = 12  # epochs without a better validation
    precision: Literal["float32", "bfloat16"] = "float32"  # of the products; weights and sums stay float32
    seed: int = 20261123

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that no training can be done with."""
        if min(self.epochs, self.draws, self.batch, self.patience) < 1:
            raise ValueError("epochs, draws, batch and patience are 1 or more")
        if not 1 <= self.crop_px <= STORED_PX or min(self.input_px, self.early_px) < 1:
            raise ValueError(f"crop_px lies between 1 and {STORED_PX}, input_px and early_px are 1 or more")
        if not all(math.isfinite(value) for value in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError("mean and std are finite, std above zero")
        if not (0 <= self.peak_lr < math.inf and 0 <= self.weight_decay < math.inf):
            raise ValueError("peak_lr and weight_decay are finite and not negative")
        if not all(0 <= value < math.inf for value in (self.label_power, self.partial_weight, self.colour_change)):
            raise ValueError("label_power, partial_weight and colour_change are finite and not negative")
        if not (0 <= self.early_share <= 1 and 0 <= self.smoothing < 1 and 0 <= self.average < 1):
            raise ValueError("early_share lies between 0 and 1, smoothing and average below 1")
        if self.seed < 0:
            raise ValueError("seed is not negative")


def bounded(recipe: Recipe, crops: int) -> Recipe:
    """Return the recipe for a set of so many crops: an epoch of a small one draws each at most so often on average."""
    return replace(recipe, draws=min(recipe.draws, MOST_DRAWS_OF_A_CROP * max(crops, 1)))
