"""Where the tiles of a slide's levels lie in a TIFF, for the one layout whose JPEG tiles are decoded directly.

OpenSlide's levels are matched to the file's directories as OpenSlide itself chooses them: every tiled directory of
an SVS (thumbnail, label and macro picture are in strips), the first and the reduced ones of a plain pyramidal TIFF.
Whatever does not fit exactly is left to OpenSlide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.geometry import Box
from worker.slides.files.jpeg_stream import YCBCR, StreamFrame, tables_start
from worker.slides.files.tiff_structure import (
    BITS,
    COMPRESSION,
    FILL_ORDER,
    HEIGHT,
    JPEG_TABLES,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    SUBFILE_TYPE,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    TiffPage,
    Values,
)
from worker.slides.slide import SlideInfo

VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are whole directories of tiles that neither overlap nor are shifted."""
_TILE_SIDES_PX = range(16, 4097)
_MAX_BYTES_PER_PX = 8
_REDUCED_IMAGE = 1
_WANTED = (
    (COMPRESSION, 1, frozenset({7}), "compression"),
    (SAMPLES, 1, frozenset({3}), "samples per pixel"),
    (PLANAR, 1, frozenset({1}), "planar layout"),
    (PHOTOMETRIC, -1, frozenset({2, YCBCR}), "photometric interpretation"),
    (FILL_ORDER, 1, frozenset({1}), "bit order"),
)
"""Tag, the value that its absence means, the values that are read here, and the tag's name."""


@dataclass(frozen=True, kw_only=True)
class TileLevel:
    """A level as a grid of JPEG tiles, counted row by row; those at the right and lower rim reach beyond it."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    offsets: Values  # (N,) bytes from the file's start
    counts: Values  # (N,) bytes
    frame: StreamFrame

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile_height)

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        """Shape of a decoded tile."""
        return self.tile_height, self.tile_width, 3

    def ends_on_tiles(self, box_lv: Box) -> bool:
        """Tell whether all four sides of a box lie on borders of tiles, or at the level's end."""
        return (
            box_lv.x % self.tile_width == 0
            and box_lv.y % self.tile_height == 0
            and (box_lv.x_end % self.tile_width == 0 or box_lv.x_end == self.width)
            and (box_lv.y_end % self.tile_height == 0 or box_lv.y_end == self.height)
        )

    def tiles_in(self, box_lv: Box) -> tuple[range, range]:
        """Return the rows and the columns of the tiles that meet a box inside the level."""
        rows = range(box_lv.y // self.tile_height, -(-box_lv.y_end // self.tile_height))
        return rows, range(box_lv.x // self.tile_width, -(-box_lv.x_end // self.tile_width))


def misfit(pages: Sequence[TiffPage], info: SlideInfo) -> str | None:
    """Return why a slide's tiles are not decoded directly, or None where they can be."""
    if info.vendor not in VENDORS:
        return f"{info.vendor} slides are left to OpenSlide"
    chosen = _level_pages(pages, info)
    if tuple((page.first(WIDTH, 0), page.first(HEIGHT, 0)) for page in chosen) != info.level_sizes:
        return "its directories are not its levels one to one"
    for number, page in enumerate(chosen):
        reason = _page_misfit(page)
        if reason is not None:
            return f"level {number}: {reason}"
    return None


def tile_levels(pages: Sequence[TiffPage], info: SlideInfo) -> tuple[TileLevel, ...]:
    """Return the levels of a slide for which `misfit` knows no reason against it."""
    return tuple(_level(page) for page in _level_pages(pages, info))


def _level_pages(pages: Sequence[TiffPage], info: SlideInfo) -> list[TiffPage]:
    tiled = [
        page
        for number, page in enumerate(pages)
        if TILE_OFFSETS in page.tags
        and (info.vendor == "aperio" or number == 0 or page.first(SUBFILE_TYPE, 0) & _REDUCED_IMAGE)
    ]
    return sorted(tiled, key=lambda page: -page.first(WIDTH, 0))


def _page_misfit(page: TiffPage) -> str | None:
    for tag, absent, wanted, name in _WANTED:
        if page.first(tag, absent) not in wanted:
            return f"its {name} is {page.first(tag, absent)}"
    if BITS not in page.tags or (page.tags[BITS] != 8).any():
        return "its samples have not 8 bits"
    if JPEG_TABLES in page.tags and tables_start(page.tags[JPEG_TABLES].tobytes()) is None:
        return "its JPEG tables are not understood"
    return _grid_misfit(_level(page))


def _grid_misfit(level: TileLevel) -> str | None:
    if level.tile_width not in _TILE_SIDES_PX or level.tile_height not in _TILE_SIDES_PX:
        return f"its tiles measure {level.tile_width} x {level.tile_height} px"
    if len(level.offsets) != level.columns * level.rows:
        return f"it has {len(level.offsets)} tiles for {level.columns} x {level.rows} places"
    if (level.counts == 0).any():
        return "tiles of it are left out"
    if int(level.counts.max()) > _MAX_BYTES_PER_PX * level.tile_width * level.tile_height:
        return "it has tiles of more bytes than pixels need"
    return None


def _level(page: TiffPage) -> TileLevel:
    tables = page.tags[JPEG_TABLES].tobytes() if JPEG_TABLES in page.tags else b""
    tile_width, tile_height = page.first(TILE_WIDTH, 0), page.first(TILE_HEIGHT, 0)
    return TileLevel(
        width=page.first(WIDTH, 0),
        height=page.first(HEIGHT, 0),
        tile_width=tile_width,
        tile_height=tile_height,
        offsets=page.chunks[0],
        counts=page.chunks[1],
        frame=StreamFrame(
            start=tables_start(tables) or b"",
            photometric=page.first(PHOTOMETRIC, -1),
            width=tile_width,
            height=tile_height,
        ),
    )
