"""The whole slide at low resolution, read in parts so that memory grows with the overview only.

Parts are squares that native tiles mostly divide: each tile of a slide without a pyramid is then decoded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.slide import PixelSource, RgbImage, SlideInfo
from worker.slides.torn import blocks_of, read_pieces

_PART_PX = 1024
"""Level px on a side of what is read at once, or a little less."""
_BLOCK_PX = 512
"""Level px on a side of what is given up where a part cannot be decoded."""
MAX_UNREADABLE = 256
"""Blocks that may be given up before the slide is."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A reduced slide: px (i, j) is the mean of the level-0 px from (i, j) * factor to (i + 1, j + 1) * factor."""

    rgb: RgbImage
    factor: int  # level-0 px per px
    unreadable: tuple[Box, ...] = ()
    """Parts of it, in its own px, that could not be decoded; they have the slide's background colour."""


def known_px(overview: Overview) -> NDArray[np.bool_]:
    """Return (H, W) bool: the px that were decoded."""
    known = np.ones(overview.rgb.shape[:2], dtype=np.bool_)
    for box in overview.unreadable:
        known[box.y : box.y_end, box.x : box.x_end] = False
    return known


def overview_at_most(source: PixelSource, factor: int) -> Overview:
    """Return an overview of `factor` level-0 px per px or less; less only where the pyramid's steps ask for it.

    Raises:
        BadSlideError: when no part of it can be decoded, or more than MAX_UNREADABLE blocks cannot.
    """
    return _from_coarsest(source, factor, lambda downsample: max(1, factor // downsample))


def overview_within(source: PixelSource, max_px: int) -> Overview:
    """Return an overview whose longer side has at most `max_px` px."""
    factor = -(-max(source.info.width_l0, source.info.height_l0) // max_px)
    return _from_coarsest(source, factor, lambda downsample: -(-factor // downsample))


def usable_levels(info: SlideInfo, factor: int) -> list[tuple[int, int]]:
    """Return the levels that reduce by a whole number up to `factor`, and that number, the coarsest first."""
    wholes = [(level, int(down)) for level, down in enumerate(info.level_downsamples) if down.is_integer()]
    usable = [(level, down) for level, down in wholes if level == 0 or 1 < down <= factor]
    return sorted(usable, key=lambda found: (-found[1], found[0]))


def coarsest_level(info: SlideInfo, factor: int) -> tuple[int, int]:
    """Return the coarsest level that reduces by a whole number up to `factor`, and that number."""
    return usable_levels(info, factor)[0]


def _from_coarsest(source: PixelSource, factor: int, by: Callable[[int], int]) -> Overview:
    """Read the coarsest level that will do, or a finer one where that cannot be decoded."""
    failed: BadSlideError | None = None
    for level, downsample in usable_levels(source.info, factor):
        try:
            return _reduced(source, level, downsample, by(downsample))
        except BadSlideError as error:
            failed = error
    assert failed is not None  # noqa: S101 - there is always level 0
    raise failed


def _reduced(source: PixelSource, level: int, downsample: int, by: int) -> Overview:
    width_lv, height_lv = source.info.level_sizes[level]
    rgb = np.empty((-(-height_lv // by), -(-width_lv // by), 3), dtype=np.uint8)
    unreadable: list[Box] = []
    failed: BadSlideError | None = None
    block_lv = -(-_BLOCK_PX // by) * by
    whole = Box(x=0, y=0, width=width_lv, height=height_lv)
    for part_lv in blocks_of(whole, block_lv * max(1, _PART_PX // block_lv)):
        pieces = read_pieces(partial(source.read_lv, level), part_lv, block_lv, source.info.background_rgb)
        failed = pieces.failed or failed
        unreadable += [reduced_box(block, by) for block in pieces.torn]
        part = reduced_box(part_lv, by)
        reduced = pieces.rgb if by == 1 else np.asarray(Image.fromarray(pieces.rgb).reduce(by))
        rgb[part.y : part.y_end, part.x : part.x_end] = reduced
    all_of_it = sum(box.width * box.height for box in unreadable) == rgb.shape[0] * rgb.shape[1]
    if failed is not None and (all_of_it or len(unreadable) > MAX_UNREADABLE):
        raise failed
    return Overview(rgb=rgb, factor=downsample * by, unreadable=tuple(unreadable))


def reduced_box(box_lv: Box, by: int) -> Box:
    """Return the px of a picture reduced by a whole number that a box of it meets."""
    x, y = box_lv.x // by, box_lv.y // by
    return Box(x=x, y=y, width=-(-box_lv.x_end // by) - x, height=-(-box_lv.y_end // by) - y)
