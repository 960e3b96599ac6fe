"""The 8-bit channels that segmentation thresholds: table look-ups and integer sums, so every tile rounds alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.stain import Pixels, StainFit, optical_density

Image = NDArray[Any]
"""What OpenCV says it returns; here always uint8."""

OD_SCALE = 80.0
"""Grey levels per unit of optical density."""
ZERO = 48
"""Grey level of density 0 in the tables, so that what is lighter than the background is not lost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Channels:
    """Three (H, W) uint8 channels of a tile, smoothed over 5 x 5 pixels; `level` gives a density in their scale."""

    nuclear: Pixels  # OD green - OD blue, less where red comes near green; 0 where negative
    green: Pixels  # OD green; 0 where negative
    red_blue: Pixels  # OD red - OD blue, offset by ZERO


def level(density: float, offset: int = 0) -> int:
    """Return the grey level of an optical density or of a difference of two."""
    return min(255, max(0, round(density * OD_SCALE) + offset))


def above(channel: Pixels, density: float, offset: int = 0) -> Pixels:
    """Return (H, W) uint8, 255 where a channel exceeds a density."""
    return np.asarray(cv2.threshold(channel, level(density, offset), 255, cv2.THRESH_BINARY)[1], np.uint8)


def channels(tile_rgb: Pixels, fit: StainFit) -> Channels:
    """Return the channels of a (H, W, 3) uint8 RGB tile under one slide's fit."""
    red, green, blue = cv2.split(cv2.LUT(tile_rgb, _tables(fit)))
    # Basophilic cytoplasm absorbs nearly as much red as green; chromatin of any depth absorbs less.
    azure = cv2.subtract(red, _mapped(green, fit.blue_from, ZERO))
    nuclear = cv2.subtract(cv2.subtract(green, blue), cv2.add(azure, azure))
    return Channels(
        nuclear=_smooth(nuclear),
        green=_smooth(_mapped(green, 1.0, 0)),
        red_blue=_smooth(cv2.subtract(_mapped(red, 1.0, 2 * ZERO), blue)),
    )


def _tables(fit: StainFit) -> Pixels:
    """Return the (1, 256, 3) look-up table from 8-bit values to densities."""
    values = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    background = np.array([fit.background_r, fit.background_g, fit.background_b])
    levels = np.rint(optical_density(values, background) * OD_SCALE + ZERO)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _mapped(channel: Image, share: float, zero: int) -> Pixels:
    """Return a channel of densities multiplied, and moved from ZERO to another grey level of density 0."""
    table = np.clip(np.rint((np.arange(256) - ZERO) * share) + zero, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(channel, table), np.uint8)


def _smooth(channel: Image) -> Pixels:
    # OpenCV's 8-bit Gaussian is fixed point and the same on every machine; a float one is not.
    return np.asarray(cv2.GaussianBlur(channel, (5, 5), 0), np.uint8)
