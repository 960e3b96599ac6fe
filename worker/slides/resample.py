"""Reads pixels of the working plane so that a pixel's value never depends on the box it is read in.

A factor is a whole number of 64ths, so each working px begins at a binary fraction of a level px that floating
point holds exactly: the resampling weights of a working px come out the same in every box. Boxes are read with
enough level px around them that the filter never meets an edge; outside the slide lies a constant colour.
Pixels are resampled once: by Lanczos, or as means where a working px is a whole number of level px a side, which
is twenty times cheaper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from worker.geometry import Box
from worker.slides.files.tiled_jpeg import read_into
from worker.slides.scale import STEPS_PER_PX, WorkingPlane
from worker.slides.slide import PixelSource, Rgb, RgbImage, SlideInfo

_FILTER = Image.Resampling.LANCZOS
_SUPPORT = 3  # the filter's half width: level px when enlarging, working px when reducing
_PART_LV = 4096
"""Longest side of one read: bounds memory, and keeps positions exact in Pillow's 32-bit floats."""
_FINEST_STEP = 16
"""Positions are whole multiples of 1 / (64 * this) level px: 13 bits before the point and 10 behind it."""


@dataclass(frozen=True, kw_only=True)
class _Sampling:
    """The level that a plane is read from, and level px per working px as an exact fraction."""

    level: int
    num: int
    den: int

    @property
    def ratio(self) -> float:
        return self.num / self.den

    @property
    def is_whole(self) -> bool:
        """Whether each working px is the mean of whole level px."""
        return self.num % self.den == 0

    @property
    def margin_lv(self) -> int:
        return 0 if self.is_whole else math.ceil(_SUPPORT * max(1.0, self.ratio)) + 1

    @property
    def part_work(self) -> int:
        """Working px a side that one read covers."""
        return max(1, _PART_LV * self.den // self.num)

    def span_lv(self, start_work: int, length_work: int) -> tuple[int, int, float]:
        """Return first level px, number of level px, and where in them the first working px begins."""
        whole, rest = divmod(start_work * self.num, self.den)
        end = -(-(start_work + length_work) * self.num // self.den)
        start_lv = whole - self.margin_lv
        return start_lv, end + self.margin_lv - start_lv, self.margin_lv + rest / self.den


def read_tile(
    source: PixelSource, plane: WorkingPlane, box_work: Box, background: Rgb, *, out: RgbImage | None = None
) -> RgbImage:
    """Return a box of the working plane as (H, W, 3) uint8 RGB; outside the slide it is `background`.

    Args:
        out: an array of that shape to fill and return; a plane at the scale of a level is then copied only once.

    Raises:
        BadSlideError: `unreadable_region`.
    """
    sampling = _sampling(source.info, plane)
    tile = np.empty((box_work.height, box_work.width, 3), dtype=np.uint8) if out is None else out
    step = sampling.part_work
    for y in range(0, box_work.height, step):
        for x in range(0, box_work.width, step):
            part = Box(x=box_work.x + x, y=box_work.y + y, width=step, height=step).clipped(box_work)
            _read_part(source, sampling, part, background, tile[y : y + part.height, x : x + part.width])
    return tile


def level_for(info: SlideInfo, plane: WorkingPlane) -> int:
    """Return the coarsest level that is no coarser than the plane and on which positions stay exact."""
    best = 0
    for level, downsample in enumerate(info.level_downsamples):
        if not info.whole_px_levels[level] or downsample > plane.factor:
            continue
        step = int(downsample) // math.gcd(plane.factor_64ths, int(downsample))
        exact = step <= _FINEST_STEP and step & (step - 1) == 0
        if exact and downsample > info.level_downsamples[best]:
            best = level
    return best


def _sampling(info: SlideInfo, plane: WorkingPlane) -> _Sampling:
    level = level_for(info, plane)
    return _Sampling(level=level, num=plane.factor_64ths, den=STEPS_PER_PX * int(info.level_downsamples[level]))


def _read_part(source: PixelSource, sampling: _Sampling, part: Box, background: Rgb, out: RgbImage) -> None:
    x_lv, width_lv, left = sampling.span_lv(part.x, part.width)
    y_lv, height_lv, top = sampling.span_lv(part.y, part.height)
    box_lv = Box(x=x_lv, y=y_lv, width=width_lv, height=height_lv)
    if sampling.num == sampling.den:
        _read_padded(source, sampling.level, box_lv, background, out)
        return
    region = np.empty((height_lv, width_lv, 3), dtype=np.uint8)
    _read_padded(source, sampling.level, box_lv, background, region)
    if sampling.is_whole:
        out[:] = cv2.resize(region, (part.width, part.height), interpolation=cv2.INTER_AREA)
        return
    # One axis at a time: Pillow would choose their order by the box's shape, and round in between.
    right, bottom = left + part.width * sampling.ratio, top + part.height * sampling.ratio
    across = Image.fromarray(region).resize((part.width, height_lv), _FILTER, box=(left, 0, right, height_lv))
    out[:] = np.asarray(across.resize((part.width, part.height), _FILTER, box=(0, top, part.width, bottom)))


def _read_padded(source: PixelSource, level: int, box_lv: Box, background: Rgb, out: RgbImage) -> None:
    width_lv, height_lv = source.info.level_sizes[level]
    inside = box_lv.clipped(Box(x=0, y=0, width=width_lv, height=height_lv))
    if inside != box_lv:
        out[:] = background
    if inside.width and inside.height:
        x, y = inside.x - box_lv.x, inside.y - box_lv.y
        read_into(source, level, inside, out[y : y + inside.height, x : x + inside.width])
