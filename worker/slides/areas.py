"""The areas in which cells are counted as boxes and square millimetres, for the database and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from worker.geometry import LATTICE_PX, Box
from worker.slides.countable import Reason
from worker.slides.scale import WorkingPlane
from worker.slides.smear import Readable

MOST_AREAS = 500
"""No more areas than this are listed: the largest."""


@dataclass(frozen=True, kw_only=True)
class CountableArea:
    """One connected area in which cells are counted."""

    box_l0: Box  # the smallest that holds it, ending with the plane
    area_mm2: float  # of the area itself, which fills the box in part


def areas(readable: Readable, plane: WorkingPlane) -> tuple[CountableArea, ...]:
    """Return the connected areas of readable squares, the largest first; squares that touch at a corner connect."""
    numbered, count = ndimage.label(readable.squares, structure=np.ones((3, 3), dtype=np.uint8))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:MOST_AREAS]
    boxes = ndimage.find_objects(numbered)
    return tuple(
        CountableArea(box_l0=_box_l0(boxes[index], plane), area_mm2=float(sizes[index]) * _square_mm2(plane))
        for index in largest
    )


def shares(readable: Readable) -> Mapping[str, float]:
    """Return the share of all squares per reason in lower case, each reason named, 0 to 1 and 1 together."""
    counts = np.bincount(readable.reasons.ravel(), minlength=len(Reason))
    return {reason.name.lower(): float(counts[reason] / max(1, readable.reasons.size)) for reason in Reason}


def countable_mm2(readable: Readable, plane: WorkingPlane) -> float:
    """Return the area in which cells are counted."""
    return int(readable.squares.sum()) * _square_mm2(plane)


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
