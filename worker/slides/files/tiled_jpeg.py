"""Pixels of a slide whose JPEG tiles are decoded directly, about eight times as fast as through OpenSlide.

OpenSlide spends four fifths of a read in compositing tiles as if they overlapped. Where they are a plain grid, a
region is a copy of its tiles: the same pixels bit by bit, which `reader_choice` proves on a sample of each slide.
Decoding is strict: libjpeg fills in grey for data that is cut off or altered and only warns of it, so that a warning
is an error here. (simplejpeg decodes into a buffer of ours and can be strict; imagecodecs hands out the grey.)
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.jpeg_stream import StreamMaker
from worker.slides.files.tiff_structure import UPLOAD_AGAIN
from worker.slides.files.tile_cache import TileCache, cached_bytes
from worker.slides.files.tile_levels import TileLevel
from worker.slides.slide import PixelSource, RgbImage, SlideInfo

READER = "tiled-jpeg"
_CACHE_BYTES = 96 * 2**20
_BAND_BYTES = 2**21
_GAP_BYTES = 2**12
_Encoded: TypeAlias = tuple[bytes, int, int]
"""Bytes that hold a tile's, and where these begin and end."""


class TiledJpegSource:
    """An open slide (a `PixelSource`) read by its native tiles, each decoded once while boxes around it are read."""

    def __init__(self, path: Path, info: SlideInfo, levels: tuple[TileLevel, ...], icc: bytes | None) -> None:
        self.info = info
        self.icc = icc
        self.levels = levels
        self._streams = [StreamMaker(grid.frame) for grid in levels]
        self._cache = TileCache(_CACHE_BYTES)
        self._scratch: list[NDArray[np.uint8]] = []  # one per thread that reads; fresh memory costs page faults
        self._file: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box inside a level as (H, W, 3) uint8 RGB.

        Raises:
            BadSlideError: `unreadable_region`, where a tile cannot be decoded without a warning.
        """
        region = np.empty((box_lv.height, box_lv.width, 3), dtype=np.uint8)
        self.read_into(level, box_lv, region)
        return region

    def read_into(self, level: int, box_lv: Box, out: RgbImage) -> None:
        """Do as `read_lv`, into an array of the box's size."""
        grid = self.levels[level]
        rows, columns = grid.tiles_in(box_lv)
        # A box that ends on tile borders shares no tile with its neighbours: none is worth keeping.
        if grid.ends_on_tiles(box_lv):
            at_once = max(1, _BAND_BYTES // math.prod(grid.tile_shape))
            for row in rows:
                for first in columns[::at_once]:
                    self._lay_band(level, row, columns[first - columns.start :][:at_once], box_lv, out)
            return
        for row in rows:
            for column in columns:
                self._lay_kept(level, (row, column), box_lv, out)

    def fits(self, level: int, box_lv: Box) -> bool:
        """Tell whether the headers of a box's tiles are as their directory says, whatever becomes of their data."""
        grid = self.levels[level]
        rows, columns = grid.tiles_in(box_lv)
        try:
            for row in rows:
                for data, start, end in self._encoded(grid, row, columns):
                    grid.frame.complete(data[start:end])
        except ValueError:
            return False
        return True

    def close(self) -> None:
        """Close the file and give the buffers back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._cache.clear()

    def _lay_band(self, level: int, row: int, columns: range, box_lv: Box, out: RgbImage) -> None:
        """Decode tiles side by side and copy them together: whole rows of px are written faster than parts."""
        grid = self.levels[level]
        scratch = self._scratch.pop() if self._scratch else cached_bytes(_BAND_BYTES)
        shape = (len(columns), *grid.tile_shape)
        if math.prod(shape) > scratch.size:
            scratch = cached_bytes(math.prod(shape))
        tiles = scratch[: math.prod(shape)].reshape(shape)
        for tile, column, encoded in zip(tiles, columns, self._encoded(grid, row, columns), strict=True):
            self._decode(level, (row, column), encoded, tile)
        top, left = row * grid.tile_height - box_lv.y, columns.start * grid.tile_width - box_lv.x
        band = out[top : top + grid.tile_height, left : left + len(columns) * grid.tile_width]
        height, width = band.shape[:2]
        full = width // grid.tile_width
        whole = band[:, : full * grid.tile_width].reshape(height, full, grid.tile_width, 3)
        whole[:] = tiles[:full, :height].transpose(1, 0, 2, 3)
        if width % grid.tile_width:  # at the level's end
            band[:, full * grid.tile_width :] = tiles[full, :height, : width % grid.tile_width]
        self._scratch.append(scratch)

    def _lay_kept(self, level: int, place: tuple[int, int], box_lv: Box, out: RgbImage) -> None:
        grid = self.levels[level]
        key = (level, place)
        tile = self._cache.take(key, grid.tile_shape)
        try:
            if not tile.ready:
                row, column = place
                (encoded,) = self._encoded(grid, row, range(column, column + 1))
                self._decode(level, place, encoded, tile.pixels)
                self._cache.publish(tile)
            _lay(tile.pixels, grid, place, box_lv, out)
        finally:
            self._cache.give_back(key, tile)

    def _encoded(self, grid: TileLevel, row: int, columns: range) -> list[_Encoded]:
        """Return the bytes of tiles side by side, in one read where they lie one behind the other."""
        if self._file is None:
            raise ValueError("the slide is closed")
        numbers = slice(row * grid.columns + columns.start, row * grid.columns + columns.stop)
        offsets, counts = grid.offsets[numbers].tolist(), grid.counts[numbers].tolist()
        begin, bytes_in_all = offsets[0], sum(counts)
        span = offsets[-1] + counts[-1] - begin
        if not bytes_in_all <= span <= bytes_in_all + _GAP_BYTES or sorted(offsets) != offsets:
            extents = zip(offsets, counts, strict=True)
            return [(os.pread(self._file, count, offset), 0, count) for offset, count in extents]
        data = os.pread(self._file, span, begin)
        return [(data, at - begin, at - begin + count) for at, count in zip(offsets, counts, strict=True)]

    def _decode(self, level: int, place: tuple[int, int], encoded: _Encoded, pixels: RgbImage) -> None:
        try:
            simplejpeg.decode_jpeg(self._streams[level].complete(*encoded), "RGB", buffer=pixels, strict=True)
        except ValueError as error:
            grid = self.levels[level]
            cause = (
                f"level {level} cannot be decoded at {place[1] * grid.tile_width},{place[0] * grid.tile_height}"
                f" ({grid.tile_width} x {grid.tile_height} px): {error}"
            )
            raise BadSlideError("unreadable_region", cause[:300], UPLOAD_AGAIN) from error


def _lay(pixels: RgbImage, grid: TileLevel, place: tuple[int, int], box_lv: Box, out: RgbImage) -> None:
    """Copy what of a tile lies in the box."""
    y, x = place[0] * grid.tile_height - box_lv.y, place[1] * grid.tile_width - box_lv.x  # of the tile in the box
    top, left = max(0, -y), max(0, -x)  # what of the tile lies outside
    part = pixels[top : box_lv.height - y, left : box_lv.width - x]
    out[y + top : y + grid.tile_height, x + left : x + grid.tile_width] = part


def read_into(source: PixelSource, level: int, box_lv: Box, out: RgbImage) -> None:
    """Fill an array of the box's size with its pixels, without a copy in between where the source can do that."""
    if isinstance(source, TiledJpegSource):
        source.read_into(level, box_lv, out)
    else:
        out[:] = source.read_lv(level, box_lv)
