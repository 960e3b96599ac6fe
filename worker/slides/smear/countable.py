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

from worker.slides.smear.lattice import Squares
from worker.slides.smear.marks import Marks
from worker.slides.smear.quality import Quality
from worker.slides.smear.stained import with_neighbours

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
_BUBBLE_SHARP = 0.2  # the shadow of the rim is sharp, inside it too
_POOL, _WIDE_POOL = 5, 15  # squares of 16 µm a side


def reasons_of(stained: Mask, marks: Marks, quality: Quality) -> Reasons:
    """Return the reason of each square; of several that hold, a later one in this order is named."""
    rim = marks.rim > _RIM_SHARE
    blurred, sharp, judged = _focus(quality)
    reasons = np.zeros(stained.shape, dtype=np.uint8)
    for reason, squares in (
        (Reason.TOO_THIN, _too_thin(quality)),
        (Reason.GLASS, ~(stained | _specks(~stained))),
        (Reason.BLURRED, blurred),
        (Reason.BUBBLE, rim | (_enclosed(rim, sharp, judged) & (quality.measured | ~stained))),
        (Reason.CROWDED, _crowded(quality, rim)),
        (Reason.INK, marks.ink > _INK_SHARE),
    ):
        reasons[squares] = reason
    return reasons


def _focus(quality: Quality) -> tuple[Mask, Mask, Mask]:
    """Return the squares out of focus, those in focus for certain, and those of which that can be told."""
    fine, coarse = _pooled(quality.fine, 3), _pooled(quality.coarse, 3)
    judged = quality.measured & (coarse > _LEAST_CONTRAST * _pooled(quality.measured, 3))
    sharp = judged & (fine >= LEAST_SHARP * coarse)
    soft = quality.measured & (quality.sharpness < LEAST_SHARP)
    blurred = _grown(judged & ~sharp, to=soft, size=3)
    return blurred | (ndimage.binary_fill_holes(blurred) & ~sharp & quality.measured), sharp, judged


def _crowded(quality: Quality, dark: Mask) -> Mask:
    counted = np.maximum(_pooled(quality.measured, _POOL), 1e-6)
    gaps = 1 - _pooled(quality.covered, _POOL) / counted
    nuclear = _pooled(quality.nuclear, _POOL) / counted
    between, between_od = _pooled(quality.between, _POOL), _pooled(quality.between_od, _POOL)
    deep = between_od > _LAYERS * quality.red_cell_od * between
    found = ((gaps < _GAPS) & (between > 0.3 * counted) & deep) | (nuclear > _ALL_NUCLEI)
    own_deep = quality.between_od > _LAYERS * quality.red_cell_od * quality.between
    edge = (quality.covered > 1 - _GAPS) | ((quality.covered > 0.4) & own_deep)
    return _grown(found & quality.measured, to=dark | edge, size=_POOL)


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


def _enclosed(rim: Mask, sharp: Mask, judged: Mask) -> Mask:
    """Return what closed rims enclose where hardly any cell is in focus: in a ring that a pen drew, cells are."""
    holes = ndimage.binary_fill_holes(rim) & ~rim
    numbered, count = ndimage.label(holes)
    in_focus, told = (np.bincount(numbered[seen], minlength=count + 1)[1:] for seen in (sharp, judged))
    return np.asarray(np.append(False, in_focus < _BUBBLE_SHARP * np.maximum(told, 1))[numbered])


def _specks(squares: Mask) -> Mask:
    """Return the squares whose connected area is smaller than four: gaps between cells, too small to matter."""
    numbered, count = ndimage.label(squares)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    return np.asarray(squares & (sizes[numbered] < 4))
