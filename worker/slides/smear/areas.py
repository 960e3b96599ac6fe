"""The areas in which cells are counted as boxes and square millimetres, for the database and for people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from db.records import Area
from worker.geometry import LATTICE_PX, Box
from worker.slides.scale import WorkingPlane
from worker.slides.smear.countable import Reason
from worker.slides.smear.readable import Readable

COUNTABLE_KIND = "countable"
MOST_AREAS = 500
"""No more areas than this are listed: the largest."""


def areas(readable: Readable, plane: WorkingPlane) -> tuple[Area, ...]:
    """Return the connected areas of readable squares, the largest first; squares that touch at a corner connect."""
    numbered, count = ndimage.label(readable.squares, structure=np.ones((3, 3), dtype=np.uint8))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:MOST_AREAS]
    boxes = ndimage.find_objects(numbered)
    return tuple(_area(_box_l0(boxes[index], plane), float(sizes[index]) * _square_mm2(plane)) for index in largest)


def shares(readable: Readable) -> Mapping[str, float]:
    """Return the share of all squares per reason in lower case, each reason named, 0 to 1 and 1 together."""
    counts = np.bincount(readable.reasons.ravel(), minlength=len(Reason))
    return {reason.name.lower(): float(counts[reason] / max(1, readable.reasons.size)) for reason in Reason}


def countable_mm2(readable: Readable, plane: WorkingPlane) -> float:
    """Return the area in which cells are counted."""
    return int(readable.squares.sum()) * _square_mm2(plane)


def _area(box: Box, mm2: float) -> Area:
    return Area(kind=COUNTABLE_KIND, x_l0=box.x, y_l0=box.y, width_l0=box.width, height_l0=box.height, mm2=mm2)


def _square_mm2(plane: WorkingPlane) -> float:
    return (LATTICE_PX * plane.mpp_um / 1000) ** 2


def _box_l0(squares: tuple[slice, ...], plane: WorkingPlane) -> Box:
    """Return rows and columns of squares in level-0 px; a square is `factor_64ths` of them wide, a whole number."""
    rows, columns = squares
    side_l0 = plane.factor_64ths
    box = Box(
        x=columns.start * side_l0,
        y=rows.start * side_l0,
        width=(columns.stop - columns.start) * side_l0,
        height=(rows.stop - rows.start) * side_l0,
    )
    slide = Box(x=0, y=0, width=round(plane.width_work * plane.factor), height=round(plane.height_work * plane.factor))
    return box.clipped(slide)
