"""The colour of empty glass in a picture of stained cells, which optical densities are measured against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AS_BRIGHT = 6
"""Grey levels between px of the same glass: noise, uneven light."""
_APART = 8
"""Grey levels between a peak and any level with more px."""


def glass_level(grey: NDArray[np.uint8], *, darkest: int, share: float) -> int | None:
    """Return the brightest grey level that many px share, None where there is none.

    Args:
        grey: (H, W) uint8.
        darkest: the least level that may be glass; ink and black margins lie below.
        share: px of that level per px of the commonest one that may be glass, 0-1: so many are many.
    """
    counts = np.convolve(np.bincount(grey.ravel(), minlength=256), np.ones(9) / 9, "same")
    highest = np.array([counts[max(0, level - _APART) : level + _APART + 1].max() for level in range(256)])
    common = (counts == highest) & (counts >= share * counts[darkest:].max()) & (counts > 0)
    peaks = np.flatnonzero(common[darkest:]) + darkest
    return int(peaks[-1]) if len(peaks) else None


def colour_at(rgb: NDArray[np.uint8], grey: NDArray[np.uint8], level: int) -> NDArray[np.float64] | None:
    """Return the (3,) median colour, 1 or more, of the px about a grey level; None where there are none."""
    near = rgb[np.abs(grey.astype(np.int16) - level) <= _AS_BRIGHT]
    return np.maximum(np.median(near, axis=0), 1.0) if len(near) else None
