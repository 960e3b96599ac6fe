"""Where on a slide cells are counted, and why not elsewhere.

Decided once per slide on fixed 64-px squares of the working plane, from a stain map of at most 16 working px (4 µm)
per px and from a finer map of about 1 µm per px of the stained places, so that tiles cannot change it. A slide
without a pyramid has to be read in full for each of the two; the first can serve other steps (`shared_overview`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.geometry import LATTICE_PX, Box
from worker.slides.overview import Overview, known_px
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.slide import PLAIN_VENDOR, Rgb, SlideInfo
from worker.slides.smear.absorbance import glass_colour
from worker.slides.smear.countable import Reason, Reasons, reasons_of
from worker.slides.smear.lattice import of_px, shape_of
from worker.slides.smear.marks import Marks, marks_of
from worker.slides.smear.quality import measure
from worker.slides.smear.stained import stained_squares

SMALL_FIELD_PX = 4_000_000
"""A plane below this is one field that somebody chose: all of it is read."""
_GLASS_PX = 1500
_MAP_PX_PER_SQUARE = 4  # on each side, at least: a nucleus of 7 µm then fills one map px for the most part


@dataclass(frozen=True, kw_only=True, eq=False)
class Readable:
    """The lattice squares of a working plane, and whether cells are counted in each."""

    reasons: Reasons  # (rows, columns) uint8, a `Reason` each

    @cached_property
    def squares(self) -> NDArray[np.bool_]:
        """(rows, columns) bool: the squares in which cells are counted."""
        return np.asarray(self.reasons == Reason.COUNTABLE)

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
        """Return rows, columns, the lengths of the runs of equal reasons row by row, and the reasons' numbers."""
        flat = self.reasons.ravel()
        edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size] if flat.size else [0]
        rows, columns = self.reasons.shape
        return {
            "rows": rows,
            "columns": columns,
            "runs": [end - start for start, end in pairwise(edges)],
            "reasons": [int(flat[start]) for start in edges[:-1]],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Readable:
        """Return what `to_json` described.

        Raises:
            ValueError: when the runs do not fill the rows and columns.
        """
        flat = np.repeat(np.array(document["reasons"], dtype=np.uint8), document["runs"])
        return cls(reasons=flat.reshape(document["rows"], document["columns"]))


def readable_squares(reader: SlideReader, plane: WorkingPlane) -> Readable:
    """Return where cells are counted: the monolayer of a smear, or all of a field that somebody chose.

    Raises:
        BadSlideError: `unreadable_region`, when the low-resolution map cannot be read.
    """
    if is_field(reader.info, plane):
        return Readable(reasons=np.zeros(shape_of(plane), dtype=np.uint8))
    stained, marks, glass = _seen_from_afar(reader, plane)
    return Readable(reasons=reasons_of(stained, marks, measure(reader, plane, glass, stained)))


def is_field(info: SlideInfo, plane: WorkingPlane) -> bool:
    """Tell whether a slide is a field that somebody chose: all of it is read, and no map of it is made."""
    return info.vendor == PLAIN_VENDOR or plane.width_work * plane.height_work < SMALL_FIELD_PX


def map_factor(plane: WorkingPlane) -> int:
    """Return the level-0 px per px of the stain map, at most."""
    return max(1, plane.factor_64ths // _MAP_PX_PER_SQUARE)


def _seen_from_afar(reader: SlideReader, plane: WorkingPlane) -> tuple[NDArray[np.bool_], Marks, Rgb]:
    """Return what an overview tells; the overview itself, tens of MB of a large slide, is let go of."""
    overview = reader.overview(map_factor(plane))
    stained = stained_squares(overview, plane)
    glass = _glass_between(overview, plane, stained)
    return stained, marks_of(overview, plane, glass), glass


def _glass_between(overview: Overview, plane: WorkingPlane, stained: NDArray[np.bool_]) -> Rgb:
    """Return the colour of the glass among the cells: places that the scanner left out may be filled with white."""
    every = -(-max(overview.rgb.shape[:2]) // _GLASS_PX)  # a sample will do, and takes less memory
    among = of_px(stained, plane, overview.factor, overview.rgb.shape[:2])[::every, ::every]
    if overview.unreadable:
        among &= known_px(overview)[::every, ::every]
    sample = overview.rgb[::every, ::every]
    return glass_colour(sample[among][:, None] if among.any() else sample)
