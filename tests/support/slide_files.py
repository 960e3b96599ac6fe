"""Small slides and fields on disk, whose pixels the test knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from worker.geometry import Box
from worker.slides.scale import Scale, WorkingPlane
from worker.slides.slide import RgbImage, SlideInfo, whole_downsample

GLASS = (236, 232, 228)


def texture(height: int, width: int, *, seed: int = 1) -> RgbImage:
    """Return (height, width, 3) uint8 of soft noise, so that a shift of a fraction of a px is seen."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((height, width, 3), dtype=np.float32), (0, 0), 1.2)
    return np.asarray(cv2.normalize(noise, noise, 0, 255, cv2.NORM_MINMAX), dtype=np.uint8)


def pyramid(level0: RgbImage, downsamples: Sequence[int]) -> list[RgbImage]:
    """Return a level per whole downsample, each px the mean of its level-0 px; rest rows are dropped."""
    height, width = level0.shape[:2]
    return [
        np.asarray(
            cv2.resize(
                level0[: height // by * by, : width // by * by],
                (width // by, height // by),
                interpolation=cv2.INTER_AREA,
            ),
            dtype=np.uint8,
        )
        for by in downsamples
    ]


def write_slide(path: Path, levels: Sequence[NDArray[np.uint8]], *, mpp_um: float | None = 0.25, **how: Any) -> Path:
    """Write a tiled pyramidal TIFF that OpenSlide knows as generic-tiff; `how`: compression (deflate), tile."""
    options: dict[str, Any] = {"compression": "deflate", "tile": (256, 256), "photometric": "rgb", **how}
    if mpp_um is not None:
        options |= {"resolution": (1e4 / mpp_um, 1e4 / mpp_um), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels):
            tiff.write(level, subfiletype=1 if number else 0, metadata=None, **options)
    return path


def info_of(width: int, height: int, **changes: Any) -> SlideInfo:
    """Return the header of a slide with one level."""
    fields: dict[str, Any] = {
        "vendor": "generic-tiff",
        "width_l0": width,
        "height_l0": height,
        "level_sizes": ((width, height),),
        "level_downsamples": (1.0,),
        "whole_px_levels": (True,),
        "mpp_um": 0.25,
    }
    return SlideInfo(**{**fields, **changes})


def data_folder(name: str) -> Path:
    """Return a folder of the real images, or skip the test."""
    root = os.environ.get("MARROWLINE_DATA")
    if not root:
        pytest.skip("MARROWLINE_DATA does not name the folder of real images")
    return Path(root) / name


REFUSED = {
    "derived_empty.svs": "empty_file",
    "derived_truncated_half.svs": "truncated",
    "tifftools_bad_header1.tif": "unsupported_format",
    "tifftools_bad_ifd_offset.tif": "truncated",
    "tifftools_bad_jpeg.tif": "damaged",
    "unopenable.tiff": "unsupported_format",
    "unreadable.svs": "unreadable_region",
}
"""The corrupt ones of the real images, and for what they are refused."""


class MemorySlide:
    """Levels in memory as a `PixelSource`, strict about its caller's duties."""

    def __init__(self, levels: Sequence[RgbImage]) -> None:
        self.levels = levels
        self.widest_read = 0
        self.icc: bytes | None = None
        sizes = tuple((level.shape[1], level.shape[0]) for level in levels)
        wholes = [whole_downsample(sizes[0], size) for size in sizes]
        self.info = info_of(
            *sizes[0],
            level_sizes=sizes,
            level_downsamples=tuple(float(whole or 0.5) for whole in wholes),
            whole_px_levels=tuple(whole is not None for whole in wholes),
        )

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return the box, which must lie inside the level and hold a px."""
        height, width = self.levels[level].shape[:2]
        self.widest_read = max(self.widest_read, box_lv.width)
        assert box_lv.width > 0
        assert box_lv.height > 0
        assert box_lv.clipped(Box(x=0, y=0, width=width, height=height)) == box_lv
        return self.levels[level][box_lv.y : box_lv.y_end, box_lv.x : box_lv.x_end]

    def close(self) -> None:
        """Do nothing."""


def plane_of(info: SlideInfo, steps: int) -> WorkingPlane:
    """Return the plane whose factor is `steps` 64ths, for a slide of 0.25 µm/px."""
    return WorkingPlane(
        scale=Scale(mpp_um=0.25, source="header"),
        factor=steps / 64,
        width_work=-(-info.width_l0 * 64 // steps),
        height_work=-(-info.height_l0 * 64 // steps),
    )
