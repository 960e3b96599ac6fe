"""The whole slide at low resolution, read in strips so that memory does not grow with the slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.slide import PixelSource, RgbImage, SlideInfo

_STRIP_PX = 2**24
_BLOCK_PX = 512
"""Level px on a side of what is given up where a strip cannot be decoded."""
MAX_UNREADABLE = 256
"""Blocks that may be given up before the slide is."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A reduced slide: px (i, j) is the mean of the level-0 px from (i, j) * factor to (i + 1, j + 1) * factor."""

    rgb: RgbImage
    factor: int  # level-0 px per px
    unreadable: tuple[Box, ...] = ()
    """Parts of it, in its own px, that could not be decoded; they have the slide's background colour."""


def overview_at_most(source: PixelSource, factor: int) -> Overview:
    """Return an overview of `factor` level-0 px per px or less; less only where the pyramid's steps ask for it.

    Raises:
        BadSlideError: when no part of it can be decoded, or more than MAX_UNREADABLE blocks cannot.
    """
    level, downsample = coarsest_level(source.info, factor)
    return _reduced(source, level, downsample, max(1, factor // downsample))


def overview_within(source: PixelSource, max_px: int) -> Overview:
    """Return an overview whose longer side has at most `max_px` px."""
    factor = -(-max(source.info.width_l0, source.info.height_l0) // max_px)
    level, downsample = coarsest_level(source.info, factor)
    return _reduced(source, level, downsample, -(-factor // downsample))


def coarsest_level(info: SlideInfo, factor: int) -> tuple[int, int]:
    """Return the coarsest level that reduces by a whole number up to `factor`, and that number."""
    best = (0, 1)
    for level, downsample in enumerate(info.level_downsamples):
        if downsample.is_integer() and best[1] < downsample <= factor:
            best = (level, int(downsample))
    return best


def _reduced(source: PixelSource, level: int, downsample: int, by: int) -> Overview:
    width_lv, height_lv = source.info.level_sizes[level]
    rows = max(1, _STRIP_PX // width_lv // by) * by
    strips: list[RgbImage] = []
    unreadable: list[Box] = []
    failed: BadSlideError | None = None
    for y in range(0, height_lv, rows):
        box_lv = Box(x=0, y=y, width=width_lv, height=min(rows, height_lv - y))
        strip, torn, error = _strip(source, level, box_lv, by)
        failed = error or failed
        strips.append(strip if by == 1 else np.asarray(Image.fromarray(strip).reduce(by)))
        unreadable += torn
    rgb = np.concatenate(strips)
    all_of_it = sum(box.width * box.height for box in unreadable) == rgb.shape[0] * rgb.shape[1]
    if failed is not None and (all_of_it or len(unreadable) > MAX_UNREADABLE):
        raise failed
    return Overview(rgb=rgb, factor=downsample * by, unreadable=tuple(unreadable))


def _strip(source: PixelSource, level: int, box_lv: Box, by: int) -> tuple[RgbImage, list[Box], BadSlideError | None]:
    """Return a strip's px, its blocks that cannot be decoded in overview px, and why they cannot."""
    failed = None
    try:
        return source.read_lv(level, box_lv), [], None
    except BadSlideError as error:
        failed = error
    strip: RgbImage = np.empty((box_lv.height, box_lv.width, 3), dtype=np.uint8)
    strip[:] = source.info.background_rgb
    torn = []
    for block in _blocks(box_lv, -(-_BLOCK_PX // by) * by):
        y, x = block.y - box_lv.y, block.x
        try:
            strip[y : y + block.height, x : x + block.width] = source.read_lv(level, block)
        except BadSlideError as error:
            failed = error
            torn.append(_reduced_box(block, by))
    return strip, torn, failed


def _blocks(box: Box, side: int) -> Iterator[Box]:
    for y in range(box.y, box.y_end, side):
        for x in range(box.x, box.x_end, side):
            yield Box(x=x, y=y, width=side, height=side).clipped(box)


def _reduced_box(box_lv: Box, by: int) -> Box:
    x, y = box_lv.x // by, box_lv.y // by
    return Box(x=x, y=y, width=-(-box_lv.x_end // by) - x, height=-(-box_lv.y_end // by) - y)
