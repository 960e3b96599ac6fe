"""Changes a field the way stains, cameras and scanners change it; wider than any one laboratory's spread."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from worker.training.augment import degraded

Pixels = NDArray[np.uint8]


def recoloured(rgb: Pixels, rng: Generator, nearly_own: float) -> Pixels:
    """Return (H, W, 3) uint8 with the optical densities mixed and scaled, in another light, sharpness and coding.

    Colour tells pale cytoplasm from a red cell, so the share `nearly_own` of all pictures keeps about what it has.
    """
    if rng.random() < nearly_own:
        return degraded(_restained(rgb, rng, 0.25), rng)
    out = _restained(rgb, rng, rng.choice([0.5, 1.0, 2.0]))
    if rng.random() < 0.5:
        out = _hue_shifted(out, rng)
    if rng.random() < 0.2:
        out = _faded(out, rng)
    return degraded(out, rng)


def _restained(rgb: Pixels, rng: Generator, wide: float) -> Pixels:
    """Stains of another mixture and strength, and light of another colour, at times too much of it."""
    density = -np.log((rgb.astype(np.float32) + 1) / 256)
    mixing = np.eye(3) + rng.normal(0, 0.06 * wide, (3, 3))
    mixing *= np.exp(rng.normal(0, 0.12 * wide, 3)) * np.exp(rng.normal(0, 0.15 * min(wide, 1.0)))
    light = np.exp(rng.normal(0, 0.07 * wide, 3) + rng.normal(0, 0.1 * min(wide, 1.0)))
    passed = 256 * light * np.exp(-np.maximum(density @ mixing.astype(np.float32), 0)) - 1
    return np.asarray(np.clip(passed, 0, 255), np.uint8)


def _hue_shifted(rgb: Pixels, rng: Generator) -> Pixels:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.normal(0, 7)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.5), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _faded(rgb: Pixels, rng: Generator) -> Pixels:
    """Another contrast and brightness of the camera."""
    low, high = rng.uniform(0, 40), rng.uniform(200, 255)
    bent = (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.25))
    return np.asarray(cv2.LUT(rgb, np.asarray(low + (high - low) * bent, np.uint8)), np.uint8)
