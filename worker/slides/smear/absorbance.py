"""How much light a slide takes away, per channel: the optical density ln(glass / value), in which dyes add up."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.glass import colour_at, glass_level
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
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    level = glass_level(grey, darkest=_DARKEST_GLASS, share=0.1)
    colour = colour_at(rgb, grey, int(np.percentile(grey, 99)) if level is None else level)
    assert colour is not None  # noqa: S101 - a level of the picture itself
    red, green, blue = (round(float(value)) for value in colour)
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
