"""Pen marks and the dark rims of air bubbles and cover glasses, found by their colour in an overview.

A dye of blood never absorbs red far more than green, as blue and green pens do; nor green and blue deeply with no
red, as red pens do; nor all three alike and deeply, as black pens and the rim of a bubble do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.slides.overview import Overview
from worker.slides.scale import WorkingPlane
from worker.slides.slide import Rgb
from worker.slides.smear.absorbance import densities, greatest, least
from worker.slides.smear.lattice import Squares, shares

_STROKE_UM = 20.0
"""A pen's stroke is wider than this; stain deposit and cells are not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """Shares of each square, 0 to 1."""

    ink: Squares  # strokes of a pen
    rim: Squares  # dark without a hue: rims, dirt, black pens too


def marks_of(overview: Overview, plane: WorkingPlane, glass: Rgb) -> Marks:
    """Return the marks on a slide."""
    ink, rim = np.empty(overview.rgb.shape[:2], np.bool_), np.empty(overview.rgb.shape[:2], np.bool_)
    for top in range(0, len(ink), 1024):  # in bands: densities are twelve times the size of a mask
        band = slice(top, top + 1024)
        density = densities(overview.rgb[band], glass)
        red, green, blue = density[..., 0], density[..., 1], density[..., 2]
        low, most = least(density), greatest(density)
        rim[band] = (low > 0.8) & (most - low < 0.35 * most)
        cold = (red > 0.5) & (green < 0.7 * red)
        hot = (green > 0.9) & (blue > 0.7 * green) & (red < 0.3 * green)
        ink[band] = cold | hot | (rim[band] & (low > 0.9))
    size = max(1, round(_STROKE_UM / (overview.factor * plane.scale.mpp_um)))
    return Marks(
        ink=shares(_opened(ink, size), plane, overview.factor),
        rim=shares(rim, plane, overview.factor),
    )


def _opened(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return the mask without what is narrower than `size` px."""
    if not mask.any():
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel), dtype=np.bool_)
