"""Slide files for drawn smears: tiled pyramidal JPEG TIFF, as many scanners write it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from worker.drawing.grid import Pixels
from worker.errors import BadRequestError

_UM_PER_CM = 1e4


def write_pyramid(
    path: Path, rgb: Pixels, mpp_um: float, *, tile_px: int = 256, quality: int = 90, what: str = "Drawn smear"
) -> None:
    """Write (H, W, 3) uint8 RGB as a slide that OpenSlide opens as `generic-tiff` with its µm/px.

    Each level halves the one before, down to two tiles a side. The file appears under its name only when whole.
    `tile_px` is a multiple of 16, `quality` JPEG's 1-100, `what` goes into the header. Raises BadRequestError when the
    picture is smaller than a tile.
    """
    if min(rgb.shape[:2]) < tile_px:
        raise BadRequestError(f"a picture of {rgb.shape[1]} x {rgb.shape[0]} px is smaller than a tile of {tile_px} px")
    said = f"{what}, no patient. Research use only, not for diagnostic procedures."
    unfinished = path.with_name(f"{path.name}.part")
    with tifffile.TiffWriter(unfinished) as tiff:
        level, level_mpp_um = rgb, mpp_um
        while True:
            of_first = said if level is rgb else None
            _write_level(tiff, level, level_mpp_um, tile_px=tile_px, quality=quality, said=of_first)
            if min(level.shape[:2]) < 4 * tile_px:
                break
            level, level_mpp_um = _halved(level), level_mpp_um * 2
    unfinished.replace(path)


def _write_level(
    tiff: tifffile.TiffWriter, level: Pixels, mpp_um: float, *, tile_px: int, quality: int, said: str | None
) -> None:
    tiff.write(
        level,
        photometric="rgb",
        subsampling=(2, 2),
        compression="jpeg",
        compressionargs={"level": quality},
        tile=(tile_px, tile_px),
        resolution=(_UM_PER_CM / mpp_um, _UM_PER_CM / mpp_um),
        resolutionunit="CENTIMETER",
        subfiletype=0 if said else 1,
        description=said,
        software="marrowline",
        metadata=None,
    )


def _halved(level: Pixels) -> Pixels:
    """Return the means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = level.shape[0] // 2, level.shape[1] // 2
    even = level[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
