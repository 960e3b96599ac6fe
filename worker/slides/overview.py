"""The whole slide at low resolution, read in strips so that memory does not grow with the slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.geometry import Box
from worker.slides.slide import PixelSource, RgbImage, SlideInfo

_STRIP_PX = 2**24


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A reduced slide: px (i, j) is the mean of the level-0 px from (i, j) * factor to (i + 1, j + 1) * factor."""

    rgb: RgbImage
    factor: int  # level-0 px per px


def overview_at_most(source: PixelSource, factor: int) -> Overview:
    """Return an overview of `factor` level-0 px per px or less; less only where the pyramid's steps ask for it."""
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
    strips = []
    for y in range(0, height_lv, rows):
        strip = source.read_lv(level, Box(x=0, y=y, width=width_lv, height=min(rows, height_lv - y)))
        strips.append(strip if by == 1 else np.asarray(Image.fromarray(strip).reduce(by)))
    return Overview(rgb=np.concatenate(strips), factor=downsample * by)
