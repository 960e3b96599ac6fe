"""Reads a box block by block where it cannot be decoded at once, so that only what is torn stays unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.slide import Rgb, RgbImage

UNREADABLE = "unreadable_region"
"""The code of the error that stands in the place of pixels that cannot be decoded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """What could be read of a box."""

    rgb: RgbImage
    torn: tuple[Box, ...] = ()  # its blocks that could not be, in the plane that the box lies in
    failed: BadSlideError | None = None  # why the last of them could not


def read_pieces(read: Callable[[Box], RgbImage], box: Box, side_px: int, fill: Rgb) -> Pieces:
    """Return a box's px; where it cannot be decoded at once, of its blocks of `side_px`, the torn ones filled.

    Raises:
        BadSlideError: of other kinds than `unreadable_region`.
    """
    whole = _tried(read, box)
    if not isinstance(whole, BadSlideError):
        return Pieces(rgb=whole)
    rgb: RgbImage = np.empty((box.height, box.width, 3), dtype=np.uint8)
    rgb[:] = fill
    torn, failed = [], whole
    for block in blocks_of(box, side_px):
        found = whole if block == box else _tried(read, block)
        if isinstance(found, BadSlideError):
            failed = found
            torn.append(block)
        else:
            y, x = block.y - box.y, block.x - box.x
            rgb[y : y + block.height, x : x + block.width] = found
    return Pieces(rgb=rgb, torn=tuple(torn), failed=failed)


def blocks_of(box: Box, side_px: int) -> Iterator[Box]:
    """Cut a box into blocks, row by row; those at its far edges may be smaller."""
    for y in range(box.y, box.y_end, side_px):
        for x in range(box.x, box.x_end, side_px):
            yield Box(x=x, y=y, width=side_px, height=side_px).clipped(box)


def _tried(read: Callable[[Box], RgbImage], box: Box) -> RgbImage | BadSlideError:
    try:
        return read(box)
    except BadSlideError as error:
        if error.code != UNREADABLE:
            raise
        return error
