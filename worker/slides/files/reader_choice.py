"""Whether a slide's tiles are decoded directly: only where a sample of them equals what OpenSlide reads, bit by bit.

The sample is the same each time: of every level the corners, the middles of the rims and tiles drawn by a fixed
seed. OpenSlide interpolates levels that do not lie on whole level-0 px, but not at their origin, so these are
compared there; read directly they give their stored pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.tiff_structure import TiffPage
from worker.slides.files.tile_levels import TileLevel, misfit, tile_levels
from worker.slides.files.tiled_jpeg import READER, TiledJpegSource
from worker.slides.slide import PixelSource, RgbImage, SlideInfo, whole_downsample

_SEED = 2026
_DRAWN_PER_LEVEL = 8
_MOST_MISFITS = 0.25
"""A tile that only the strict decoder refuses is damaged: OpenSlide would show it white or grey in silence. Where many
have other headers than expected it is the writer's way."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a slide is read by, and why not directly where it is not."""

    source: PixelSource
    reason: str | None = None


def choose(path: Path, pages: Sequence[TiffPage], slide: PixelSource) -> Choice:
    """Return a direct reader of the slide where one is proved equal, else the slide as OpenSlide opened it.

    The other of the two is closed.
    """
    reason = misfit(pages, slide.info)
    if reason is not None:
        return Choice(source=slide, reason=reason)
    direct = TiledJpegSource(path, _direct_info(slide.info), tile_levels(pages, slide.info), slide.icc)
    reason = _difference(direct, slide)
    if reason is not None:
        direct.close()
        return Choice(source=slide, reason=reason)
    slide.close()
    return Choice(source=direct)


def _direct_info(info: SlideInfo) -> SlideInfo:
    wholes = tuple(whole_downsample(info.level_sizes[0], size) is not None for size in info.level_sizes)
    return replace(info, reader=READER, whole_px_levels=wholes)


def _difference(direct: TiledJpegSource, slide: PixelSource) -> str | None:
    read = misfits = 0
    for level, grid in enumerate(direct.levels):
        for box in _sample(grid, level, whole_px=slide.info.whole_px_levels[level]):
            ours, theirs = _pixels(direct, level, box), _pixels(slide, level, box)
            if ours is None:
                misfits += theirs is not None and not direct.fits(level, box)
                continue
            if theirs is None or not np.array_equal(ours, theirs):
                return f"level {level} differs from OpenSlide's at {box.x},{box.y}"
            read += 1
    if not read:
        return "no tile of its sample can be read"
    return "its tiles have other headers than their directory says" if misfits > _MOST_MISFITS * read else None


def _pixels(source: PixelSource, level: int, box_lv: Box) -> RgbImage | None:
    try:
        return source.read_lv(level, box_lv)
    except BadSlideError:
        return None


def _sample(grid: TileLevel, level: int, *, whole_px: bool) -> Iterator[Box]:
    """Yield the boxes of the tiles to compare, each clipped to the level."""
    places = _places(grid, level) if whole_px else ((0, 0),)
    span = 1 if whole_px else 2
    whole = Box(x=0, y=0, width=grid.width, height=grid.height)
    for row, column in places:
        yield Box(
            x=column * grid.tile_width,
            y=row * grid.tile_height,
            width=span * grid.tile_width,
            height=span * grid.tile_height,
        ).clipped(whole)


def _places(grid: TileLevel, level: int) -> Sequence[tuple[int, int]]:
    rows, columns = (0, grid.rows // 2, grid.rows - 1), (0, grid.columns // 2, grid.columns - 1)
    drawn = np.random.default_rng((_SEED, level)).random((_DRAWN_PER_LEVEL, 2)) * (grid.rows, grid.columns)
    chosen = [(row, column) for row in rows for column in columns] + [(int(row), int(column)) for row, column in drawn]
    return tuple(dict.fromkeys(chosen))
