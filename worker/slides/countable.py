"""Decides square by square where a morphologist would count, and says why elsewhere not.

Counted is the monolayer: cells side by side with glass between them, in focus, free of pen marks. A square is left
out only where that is certain; where the picture says too little, it is counted. Figures are pooled over the squares
about a square (48 to 240 µm), since one cell can fill a square alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.slides.lattice import Squares
from worker.slides.marks import Marks
from worker.slides.quality import Quality
from worker.slides.stained import with_neighbours

Mask: TypeAlias = NDArray[np.bool_]
Reasons: TypeAlias = NDArray[np.uint8]
"""(rows, columns) uint8: a `Reason` per square."""


class Reason(IntEnum):
    """Why a square is not counted; the numbers are stored."""

    COUNTABLE = 0
    GLASS = 1  # nothing stained in it nor beside it
    INK = 2  # under a pen's stroke
    BUBBLE = 3  # the dark rim of an air bubble or a cover glass, and what a closed rim encloses
    BLURRED = 4  # too far out of focus for chromatin to show
    CROWDED = 5  # layers of cells over one another: a clot, a particle, the thick part of a film
    TOO_THIN = 6  # a few flecks on glass, none of them coloured like a nucleus


LEAST_SHARP = 0.07
"""Below this no photograph is sharp: 0.34 is the least of the public fields tried, 2 µm of blur gives 0.04-0.15."""
_LEAST_CONTRAST = 5e-5  # coarse variance of OD: with less there is nothing whose edge could be judged
_INK_SHARE, _RIM_SHARE = 0.25, 0.25
_GAPS = 0.03  # least share of glass in a monolayer, the cells touching
_LAYERS = 2.2  # of red cells over one another
_ALL_NUCLEI = 0.75  # closer than discs can be packed with cytoplasm between them
_SPARSE = 0.015
_POOL, _WIDE_POOL = 5, 15  # squares of 16 µm a side


def reasons_of(stained: Mask, marks: Marks, quality: Quality) -> Reasons:
    """Return the reason of each square; of several that hold, a later one in this order is named."""
    ink, rim = marks.ink > _INK_SHARE, marks.rim > _RIM_SHARE
    blurred = _blurred(quality)
    reasons = np.zeros(stained.shape, dtype=np.uint8)
    for reason, squares in (
        (Reason.TOO_THIN, _too_thin(quality)),
        (Reason.GLASS, ~stained),
        (Reason.BLURRED, blurred),
        (Reason.BUBBLE, rim | _enclosed(rim, blurred | ~stained)),
        (Reason.CROWDED, _crowded(quality)),
        (Reason.INK, ink),
    ):
        reasons[squares] = reason
    return reasons


def _blurred(quality: Quality) -> Mask:
    enough = _pooled(quality.coarse, 3) > _LEAST_CONTRAST * _pooled(quality.measured, 3)
    found = enough & (_pooled(quality.fine, 3) < LEAST_SHARP * _pooled(quality.coarse, 3))
    return _grown(found & quality.measured, to=quality.measured & (quality.sharpness < LEAST_SHARP), size=3)


def _crowded(quality: Quality) -> Mask:
    counted = np.maximum(_pooled(quality.measured, _POOL), 1e-6)
    gaps = 1 - _pooled(quality.covered, _POOL) / counted
    nuclear = _pooled(quality.nuclear, _POOL) / counted
    between = _pooled(quality.between, _POOL)
    layers = _pooled(quality.between_od, _POOL) / np.maximum(between, 1e-6) / quality.red_cell_od
    thick = (gaps < _GAPS) & (between > 0.3 * counted) & (layers > _LAYERS)
    found = (thick | (nuclear > _ALL_NUCLEI)) & quality.measured
    return _grown(found, to=quality.covered > 1 - _GAPS, size=_POOL)


def _too_thin(quality: Quality) -> Mask:
    counted = np.maximum(_pooled(quality.measured, _WIDE_POOL), 1e-6)
    sparse = _pooled(quality.covered, _WIDE_POOL) < _SPARSE * counted
    dyed = with_neighbours((quality.nuclear + quality.pale) > 0)
    return np.asarray(quality.measured & sparse & ~dyed)


def _pooled(values: Squares | Mask, size: int) -> Squares:
    """Return the sums over `size` x `size` squares about each; beyond the slide lies 0."""
    sums = cv2.boxFilter(
        values.astype(np.float32), cv2.CV_32F, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(sums)


def _grown(found: Mask, *, to: Mask, size: int) -> Mask:
    """Return blocks of 3 x 3 found squares, and the squares of `to` that they were pooled with."""
    if min(found.shape) < 3:  # less than 48 µm is within the error of a figure
        return np.zeros_like(found)
    block, reach = np.ones((3, 3), np.uint8), np.ones((size, size), np.uint8)
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, block)
    near = np.asarray(cv2.dilate(opened, reach), dtype=np.bool_)
    return np.asarray(opened, dtype=np.bool_) | (near & to)


def _enclosed(rim: Mask, spoilt: Mask) -> Mask:
    """Return what closed rims enclose where four fifths of it are blurred or empty: a pen's ring is not."""
    holes = ndimage.binary_fill_holes(rim) & ~rim
    numbered, count = ndimage.label(holes)
    if not count:
        return np.zeros_like(rim)
    spoilt_share = ndimage.mean(spoilt, numbered, index=np.arange(count + 1))
    spoilt_share[0] = 0.0
    return np.asarray(spoilt_share[numbered] > 0.8)
