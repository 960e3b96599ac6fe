"""Slides of JPEG tiles in the layouts that scanners and converters write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from worker.slides.slide import RgbImage

APERIO = "Aperio Image Library v12.0.0\r\n{w}x{h} [0,0 {w}x{h}] (256x256) JPEG/RGB Q=85|AppMag = 40|MPP = {mpp}"
_TABLES = frozenset({0xDB, 0xC4})
_PHOTOMETRIC = {True: 2, False: 6}


@dataclass(frozen=True, kw_only=True)
class JpegLayout:
    """How the tiles of a slide are encoded and where their tables are kept."""

    tile: tuple[int, int] = (256, 256)  # rows, columns
    subsampling: str = "420"
    rgb: bool = False  # samples are stored as RGB, not YCbCr
    shared_tables: bool = True  # abbreviated streams, with the tables in the directory
    aperio: bool = False
    mpp_um: float = 0.25


def write_jpeg_slide(path: Path, levels: Sequence[RgbImage], layout: JpegLayout | None = None) -> Path:
    """Write levels as tiled JPEG; tiles at the rim repeat the last px. As SVS with a thumbnail, label and macro."""
    layout = layout or JpegLayout()
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels):
            _write_level(tiff, level, layout, number)
            if layout.aperio and number == 0:  # the thumbnail comes second, in strips
                tiff.write(np.ascontiguousarray(level[::8, ::8]), photometric="rgb", metadata=None)
        if layout.aperio:
            for kind, name in ((1, "label"), (9, "macro")):
                picture = np.full((40, 60, 3), 80 * kind % 251, dtype=np.uint8)
                tiff.write(picture, photometric="rgb", subfiletype=kind, description=f"Aperio\n{name}", metadata=None)
    return path


def _write_level(tiff: tifffile.TiffWriter, level: RgbImage, layout: JpegLayout, number: int) -> None:
    height, width = level.shape[:2]
    streams = [_encoded(tile, layout) for tile in _tiles(level, layout.tile)]
    tables = _split(streams[0])[0]
    extra: list[Any] = []
    if layout.shared_tables:
        extra = [(347, 7, len(tables), tables, True)]
        streams = [_split(stream)[1] for stream in streams]
    tiff.write(
        iter(streams),
        shape=level.shape,
        dtype="uint8",
        tile=layout.tile,
        compression=7,
        photometric=_PHOTOMETRIC[layout.rgb],
        subsampling=None if layout.rgb else (int(4 / int(layout.subsampling[1])), 1 + (layout.subsampling == "420")),
        subfiletype=1 if number and not layout.aperio else 0,
        extratags=extra,
        resolution=(1e4 / layout.mpp_um, 1e4 / layout.mpp_um),
        resolutionunit="CENTIMETER",
        description=APERIO.format(w=width, h=height, mpp=layout.mpp_um) if layout.aperio else None,
        metadata=None,
    )


def _tiles(level: RgbImage, tile: tuple[int, int]) -> Iterator[RgbImage]:
    rows, columns = (-(-side // length) for side, length in zip(level.shape, tile, strict=False))
    missing = (rows * tile[0] - level.shape[0], columns * tile[1] - level.shape[1])
    padded = np.pad(level, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    for row in range(rows):
        for column in range(columns):
            part = padded[row * tile[0] : (row + 1) * tile[0], column * tile[1] : (column + 1) * tile[1]]
            yield np.ascontiguousarray(part)


def _encoded(tile: RgbImage, layout: JpegLayout) -> bytes:
    how: dict[str, Any] = {"outcolorspace": "RGB"} if layout.rgb else {"subsampling": layout.subsampling}
    return bytes(imagecodecs.jpeg8_encode(tile, level=85, colorspace="RGB", **how))


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """Return the tables as a stream of their own, and the stream without them and without application segments."""
    tables, rest, place = b"", b"", 2
    while stream[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(stream[place + 2 : place + 4], "big")
        if stream[place + 1] in _TABLES:
            tables += stream[place:end]
        elif stream[place + 1] < 0xE0:
            rest += stream[place:end]
        place = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + stream[place:]
