"""Reads a slide at about 1 µm per px in blocks of whole squares, each with a margin around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.geometry import Box
from worker.slides.overview import coarsest_level, reduced_box
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.slide import Rgb, RgbImage, SlideInfo
from worker.slides.smear.lattice import Squares, shape_of, starts
from worker.slides.torn import read_pieces

MARGIN_PX = 24
_MAP_UM = 1.0
_BLOCK_PX = 1024
_REGION_PX = 4096
"""A reader hands out no wider regions."""
_PIECE_PX = 256
"""Level px on a side of what is given up where a block cannot be decoded: a native tile of most scanners."""


@dataclass(frozen=True, kw_only=True)
class BlockMap:
    """The reduced picture of a slide, and where the squares begin on it."""

    level: int
    by: int  # level px per map px
    px_um: float
    size_lv: tuple[int, int]  # (width, height)
    row_ends: NDArray[np.intp]  # first map px of each row of squares, and the picture's end
    column_ends: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some squares, and their place in a picture that holds a margin as well."""

    squares: tuple[slice, slice]  # rows, columns
    box_lv: Box  # what to read: with the margin, inside the level
    row_ends: NDArray[np.intp]  # first row of each row of squares on the reduced picture, and the last one's end
    column_ends: NDArray[np.intp]

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the reduced picture that the squares cover."""
        return slice(self.row_ends[0], self.row_ends[-1]), slice(self.column_ends[0], self.column_ends[-1])

    def means(self, values: NDArray[np.float32]) -> Squares:
        """Return the mean over each square of (H, W) float32 values of the reduced picture; 0 where it has no px."""
        sums = cv2.integral(values)[np.ix_(self.row_ends, self.column_ends)]
        sums = np.diff(np.diff(sums, axis=0), axis=1)
        pixels = np.outer(np.diff(self.row_ends), np.diff(self.column_ends))
        return np.asarray(sums / np.maximum(1, pixels), dtype=np.float32)

    def away_from(self, torn: Iterable[Box]) -> NDArray[np.bool_]:
        """Return (rows, columns) bool: the squares that no filter brings into touch with boxes of the picture."""
        away = np.ones((len(self.row_ends) - 1, len(self.column_ends) - 1), dtype=np.bool_)
        for box in torn:
            away[_near(self.row_ends, box.y, box.y_end), _near(self.column_ends, box.x, box.x_end)] = False
        return away


def block_map(info: SlideInfo, plane: WorkingPlane) -> BlockMap:
    """Return how a slide is reduced to 1 µm per px, or to a little less."""
    wanted = max(1, int(_MAP_UM / plane.scale.mpp_um * 1.02))  # 0.2528 µm/px counts as a quarter
    level, downsample = coarsest_level(info, wanted)
    by = max(1, wanted // downsample)
    factor = downsample * by
    rows, columns = shape_of(plane)
    width_lv, height_lv = info.level_sizes[level]
    width, height = -(-width_lv // by), -(-height_lv // by)
    return BlockMap(
        level=level,
        by=by,
        px_um=factor * plane.scale.mpp_um,
        size_lv=(width_lv, height_lv),
        row_ends=np.append(starts(plane, factor, height, rows), height),
        column_ends=np.append(starts(plane, factor, width, columns), width),
    )


def blocks(reduced: BlockMap, wanted: NDArray[np.bool_]) -> Iterator[Block]:
    """Yield the blocks that hold a wanted square, row by row."""
    for rows in _spans(reduced.row_ends, reduced.by):
        for columns in _spans(reduced.column_ends, reduced.by):
            if wanted[rows, columns].any():
                yield _block(reduced, rows, columns)


def read_block(
    reader: SlideReader, reduced: BlockMap, block: Block, fill: Rgb, *, retried: bool = True
) -> tuple[RgbImage, tuple[Box, ...]]:
    """Return a block's picture, margin included, each px the mean of its level px, and the boxes of it that are torn.

    What cannot be decoded has the colour `fill`: small pieces, or the whole block where it is not to be `retried`.
    Raises BadSlideError of other kinds than `unreadable_region`.
    """
    side_lv = -(-_PIECE_PX // reduced.by) * reduced.by if retried else _REGION_PX
    pieces = read_pieces(partial(reader.region, reduced.level), block.box_lv, side_lv, fill)
    rgb = pieces.rgb if reduced.by == 1 else np.asarray(Image.fromarray(pieces.rgb).reduce(reduced.by))
    x, y = block.box_lv.x // reduced.by, block.box_lv.y // reduced.by
    torn = (reduced_box(box, reduced.by) for box in pieces.torn)
    return rgb, tuple(replace(box, x=box.x - x, y=box.y - y) for box in torn)


def _near(ends: NDArray[np.intp], start: int, stop: int) -> slice:
    """Return the squares along an axis with a px less than a margin away from the px `start` to `stop`."""
    first = int(np.searchsorted(ends, start - MARGIN_PX, side="right")) - 1
    last = int(np.searchsorted(ends, stop + MARGIN_PX, side="left"))
    return slice(max(0, first), max(0, last))


def _spans(ends: NDArray[np.intp], by: int) -> Iterator[slice]:
    """Cut an axis into runs of squares whose pictures are small enough; a run holds one square at least."""
    most = min(_BLOCK_PX, _REGION_PX // by) - 2 * MARGIN_PX
    first, last = 0, len(ends) - 1
    while first < last:
        stop = max(first + 1, int(np.searchsorted(ends, ends[first] + most, side="right")) - 1)
        yield slice(first, min(stop, last))
        first = stop


def _block(reduced: BlockMap, rows: slice, columns: slice) -> Block:
    top, bottom = int(reduced.row_ends[rows.start]), int(reduced.row_ends[rows.stop])
    left, right = int(reduced.column_ends[columns.start]), int(reduced.column_ends[columns.stop])
    x, y = max(0, left - MARGIN_PX), max(0, top - MARGIN_PX)
    by, (width_lv, height_lv) = reduced.by, reduced.size_lv
    around = Box(x=x * by, y=y * by, width=(right + MARGIN_PX - x) * by, height=(bottom + MARGIN_PX - y) * by)
    return Block(
        squares=(rows, columns),
        box_lv=around.clipped(Box(x=0, y=0, width=width_lv, height=height_lv)),
        row_ends=reduced.row_ends[rows.start : rows.stop + 1] - y,
        column_ends=reduced.column_ends[columns.start : columns.stop + 1] - x,
    )
