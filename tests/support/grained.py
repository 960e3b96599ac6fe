"""Made-up crops that are no copies of each other: every one has a grain of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from worker.training.classification.data import CropSet


def grained(crops: CropSet, *, seed: int = 1) -> CropSet:
    """Return the crops with coarse noise on all of them."""
    noise = np.random.default_rng(seed).integers(-120, 121, crops.pixels.shape)
    return replace(crops, pixels=np.clip(crops.pixels + noise, 0, 255).astype(np.uint8))
