"""All that decides a training besides its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.nets.hybrid import FULL
from worker.training.classification.data import CROP_PX, MEAN, STD


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; the same recipe, data and machine make the same weights."""

    arch: str = "hybrid"  # one of worker.nets.architectures.NETWORKS
    channels: tuple[int, ...] = FULL  # of its stages, see worker.nets.architectures.channels_of
    crop_px: int = CROP_PX  # side of what is seen of a crop
    input_px: int = 64  # what that is brought to
    early_px: int = 48  # the same in the first epochs, for speed
    mean: tuple[float, float, float] = MEAN  # of RGB / 255, taken off
    std: tuple[float, float, float] = STD  # and divided by
    early_share: float = 0.6  # of the epochs
    epochs: int = 34
    draws: int = 3000  # crops an epoch
    batch: int = 32
    peak_lr: float = 7e-4
    weight_decay: float = 2e-5
    smoothing: float = 0.05
    average: float = 0.995  # decay of the moving average of the weights
    patience: int = 12  # epochs without a better validation
    precision: Literal["float32", "bfloat16"] = "float32"  # of the products; weights and sums stay float32
    seed: int = 20261123
