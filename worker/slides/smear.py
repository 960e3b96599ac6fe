"""Where on a slide cells are counted, version 0: wherever something stained lies, with a rim around it.

Decided once per slide on fixed 64-px squares of the working plane, from an overview of at most 16 working px
(4 µm) per px, so that tiles cannot change it. A square is readable when one px of it, or of a square beside it,
is darker than the slide's own glass. The threshold is Otsu's, taken halfway back towards the glass.

Limits: it knows glass from stain and nothing more. Ink, dirt, folds, clots and out-of-focus places are readable;
where a scanner left out areas in pure white, glass may count as stained, which costs time and no cells.
A slide without a pyramid has to be read in full for its overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.geometry import LATTICE_PX, Box
from worker.slides.overview import Overview
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.slide import PLAIN_VENDOR

SMALL_FIELD_PX = 4_000_000
"""A plane below this is one field that somebody chose: all of it is read."""
_MAP_PX_PER_SQUARE = 4  # on each side, at least: a nucleus of 7 µm then fills one map px for the most part
_DARKEST = 100
"""Anything darker counts as this, so that ink cannot pull the threshold below pale nuclei."""
_LEAST_CONTRAST = 12
_BAND_PX = 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class Readable:
    """The lattice squares of a working plane in which cells are counted."""

    squares: NDArray[np.bool_]  # (rows, columns)

    @property
    def share(self) -> float:
        """The part of the squares that is readable, 0-1."""
        return float(self.squares.mean()) if self.squares.size else 0.0

    def holds(self, x_work: float, y_work: float) -> bool:
        """Tell whether a point lies in a readable square."""
        column, row = int(x_work // LATTICE_PX), int(y_work // LATTICE_PX)
        rows, columns = self.squares.shape
        return 0 <= row < rows and 0 <= column < columns and bool(self.squares[row, column])

    def holds_mean(self, sum_x: int, sum_y: int, count: int) -> bool:
        """Tell whether (sum_x/count, sum_y/count) does, in integers so that no rounding decides."""
        return self.holds(sum_x // count, sum_y // count)

    def any_in(self, box_work: Box) -> bool:
        """Tell whether a readable square meets the box."""
        rows = slice(max(0, box_work.y // LATTICE_PX), max(0, -(-box_work.y_end // LATTICE_PX)))
        columns = slice(max(0, box_work.x // LATTICE_PX), max(0, -(-box_work.x_end // LATTICE_PX)))
        return bool(self.squares[rows, columns].any())

    def to_json(self) -> dict[str, Any]:
        """Return rows, columns and the lengths of the runs of unreadable and readable squares in turn."""
        flat = self.squares.ravel()
        edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
        runs = [end - start for start, end in pairwise(edges)]
        if flat.size and flat[0]:
            runs.insert(0, 0)
        rows, columns = self.squares.shape
        return {"rows": rows, "columns": columns, "runs": runs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Readable:
        """Return what `to_json` described.

        Raises:
            ValueError: when the runs do not fill the rows and columns.
        """
        runs = document["runs"]
        values = np.arange(len(runs)) % 2 == 1
        flat = np.repeat(values, runs)
        return cls(squares=flat.reshape(document["rows"], document["columns"]))


def readable_squares(reader: SlideReader, plane: WorkingPlane) -> Readable:
    """Return where cells are counted: stained places and their surroundings, or all of a field.

    Raises:
        BadSlideError: `unreadable_region`.
    """
    shape = (-(-plane.height_work // LATTICE_PX), -(-plane.width_work // LATTICE_PX))
    if reader.info.vendor == PLAIN_VENDOR or plane.width_work * plane.height_work < SMALL_FIELD_PX:
        return Readable(squares=np.ones(shape, dtype=np.bool_))
    overview = reader.overview(max(1, plane.factor_64ths // _MAP_PX_PER_SQUARE))
    return Readable(squares=_with_neighbours(_stained_squares(overview, plane, shape)))


def stain_threshold(darkest_channel: NDArray[np.uint8]) -> int:
    """Return the brightness from which down a pixel is stained, from the histogram of an overview.

    Args:
        darkest_channel: the least of red, green and blue per pixel.
    """
    histogram = _histogram(darkest_channel)
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


def _histogram(darkest_channel: NDArray[np.uint8]) -> NDArray[np.float64]:
    bands = np.array_split(darkest_channel, max(1, darkest_channel.size // _BAND_PX))
    counts = np.zeros(256, dtype=np.float64)
    for band in bands:
        counts += np.bincount(np.maximum(band, _DARKEST).ravel(), minlength=256)
    return counts


def _stained_squares(overview: Overview, plane: WorkingPlane, shape: tuple[int, int]) -> NDArray[np.bool_]:
    darkest = np.minimum(np.minimum(overview.rgb[..., 0], overview.rgb[..., 1]), overview.rgb[..., 2])
    stained = darkest <= stain_threshold(darkest)
    # A square is factor_64ths level-0 px wide; a map px belongs to the square that holds its centre.
    for axis, squares in enumerate(shape):
        centres = (np.arange(stained.shape[axis]) * 2 + 1) * overview.factor // (2 * plane.factor_64ths)
        starts = np.minimum(np.searchsorted(centres, np.arange(squares)), len(centres) - 1)
        stained = np.logical_or.reduceat(stained, starts, axis=axis)
    return stained


def _with_neighbours(squares: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(squares, 1)
    rows, columns = squares.shape
    wide = np.zeros_like(squares)
    for row, column in product(range(3), repeat=2):
        wide |= padded[row : row + rows, column : column + columns]
    return wide
