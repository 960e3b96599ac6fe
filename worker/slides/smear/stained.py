"""Tells stained places from bare glass at low resolution, square by square.

A square is stained when one px of it, or of a square beside it, is darker than the slide's own glass. The threshold
is Otsu's, taken halfway back towards the glass, so that no pale cell is lost; in areas that a scanner left out in
pure white, glass may count as stained.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from worker.slides.overview import Overview, known_px
from worker.slides.scale import WorkingPlane
from worker.slides.slide import RgbImage
from worker.slides.smear.lattice import shape_of, squares_of, starts

_DARKEST = 100
"""Anything darker counts as this, so that ink cannot pull the threshold below pale nuclei."""
_LEAST_CONTRAST = 12
_BAND_PX = 2**20


def stained_squares(overview: Overview, plane: WorkingPlane) -> NDArray[np.bool_]:
    """Return (rows, columns) bool: the squares with anything stained, or unknown, and their neighbours.

    What of the overview could not be decoded is unknown: it is read at full size, and either counted or noted there.
    """
    rgb = overview.rgb
    threshold = stain_threshold(rgb[known_px(overview)][None] if overview.unreadable else rgb)
    rows, columns = shape_of(plane)
    height, width = overview.rgb.shape[:2]
    across = starts(plane, overview.factor, width, columns)
    stained = np.concatenate(
        [np.logical_or.reduceat(_darkest(band) <= threshold, across, axis=1) for band in _bands(overview.rgb)]
    )
    down = starts(plane, overview.factor, height, rows)
    stained = np.logical_or.reduceat(stained, down, axis=0)
    for box in overview.unreadable:
        stained[squares_of(box, plane, overview.factor)] = True
    return with_neighbours(stained)


def with_neighbours(squares: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the squares and the eight about each."""
    padded = np.pad(squares, 1)
    rows, columns = squares.shape
    wide = np.zeros_like(squares)
    for row, column in product(range(3), repeat=2):
        wide |= padded[row : row + rows, column : column + columns]
    return wide


def stain_threshold(rgb: RgbImage) -> int:
    """Return the brightness of the darkest channel from which down a px of an overview is stained."""
    histogram = _histogram(rgb)
    below, total = histogram.cumsum(), histogram.sum()
    mass_below = (histogram * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_below = mass_below / below
        mean_above = (mass_below[-1] - mass_below) / (total - below)
        between = np.nan_to_num(below * (total - below) * (mean_above - mean_below) ** 2)
    if between.max() == 0:  # one brightness throughout: no stain
        return int(mass_below[-1] / total) - _LEAST_CONTRAST
    # Every split inside an empty stretch of the histogram is equally good; take its middle.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    glass = float(mean_above[best[0]])
    return int(min(((best[0] + best[-1]) / 2 + glass) / 2, glass - _LEAST_CONTRAST))


def _histogram(rgb: RgbImage) -> NDArray[np.float64]:
    counts = np.zeros(256, dtype=np.float64)
    for band in _bands(rgb):
        counts += np.bincount(np.maximum(_darkest(band), _DARKEST).ravel(), minlength=256)
    return counts


def _darkest(rgb: RgbImage) -> NDArray[np.uint8]:
    """Return the least of red, green and blue per px."""
    return np.minimum(np.minimum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def _bands(rgb: RgbImage) -> list[RgbImage]:
    """Cut a picture into bands of rows, so that what is computed of them stays small."""
    return np.array_split(rgb, max(1, rgb.shape[0] * rgb.shape[1] // _BAND_PX))
