"""How much light a slide takes away, per channel: the optical density ln(glass / value), in which dyes add up."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.slides.slide import Rgb, RgbImage

Number = TypeVar("Number", np.uint8, np.float32)

Densities: TypeAlias = NDArray[np.float32]
"""(H, W, 3) float32, red first: 0 for glass, 2.6 at most."""

_DARKEST_GLASS = 100
"""A lamp is set so that glass is brighter than this grey level in any photograph that cells can be judged in."""


def glass_colour(rgb: RgbImage) -> Rgb:
    """Return the colour of empty glass in a picture: the brightest grey level that many pixels share.

    Where cells leave no glass between them, the brightest hundredth of the pixels stands in.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    counts = np.convolve(np.bincount(grey.ravel(), minlength=256), np.ones(9) / 9, "same")
    highest = np.array([counts[max(0, level - 8) : level + 9].max() for level in range(256)])
    common = (counts == highest) & (counts >= 0.1 * counts[_DARKEST_GLASS:].max()) & (counts > 0)
    peaks = np.flatnonzero(common[_DARKEST_GLASS:]) + _DARKEST_GLASS
    level = int(peaks[-1]) if len(peaks) else int(np.percentile(grey, 99))
    near = rgb[np.abs(grey.astype(np.int16) - level) <= 6]
    red, green, blue = (max(1, round(float(value))) for value in np.median(near, axis=0))
    return red, green, blue


def densities(rgb: RgbImage, glass: Rgb) -> Densities:
    """Return the optical density of each pixel against a slide's glass; brighter than glass counts as glass."""
    return np.asarray(cv2.LUT(rgb, _table(glass)))


@lru_cache(maxsize=8)
def _table(glass: Rgb) -> NDArray[np.float32]:
    value = np.arange(256, dtype=np.float32)[:, None]
    table = np.log((np.array(glass, dtype=np.float32) + 1) / (value + 1))
    return np.asarray(np.clip(table, 0.0, 2.6).reshape(1, 256, 3), dtype=np.float32)


def least(channels: NDArray[Number]) -> NDArray[Number]:
    """Return (H, W): the least of the three channels of each px; numpy's own reduction of so short an axis is slow."""
    return np.minimum(np.minimum(channels[..., 0], channels[..., 1]), channels[..., 2])


def greatest(channels: NDArray[Number]) -> NDArray[Number]:
    """Return (H, W): the greatest of the three channels of each px."""
    return np.maximum(np.maximum(channels[..., 0], channels[..., 1]), channels[..., 2])
