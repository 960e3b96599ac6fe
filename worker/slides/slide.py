"""What is known of an open slide, and what every reader of pixels offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadSlideError
from worker.geometry import Box

Rgb: TypeAlias = tuple[int, int, int]
RgbImage: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, red first."""

WHITE: Rgb = (255, 255, 255)
PLAIN_VENDOR = "plain"
"""`SlideInfo.vendor` of a camera field, which is no slide format."""
MPP_RANGE_UM = (0.02, 5.0)
"""A scale outside this is a print resolution or a typing error: real files state 353 µm/px."""

READABLE = "Save it as SVS, NDPI or tiled TIFF, or as an 8-bit PNG, JPEG, BMP or TIFF field."
"""The remedy for a file of another kind."""
MAX_SIDE_PX = 2**20
MAX_AREA_PX = 2**38
MAX_LEVELS = 32


@dataclass(frozen=True, kw_only=True)
class SlideInfo:
    """A slide's header, as far as reading needs it; names, labels and free text are never taken over."""

    vendor: str  # OpenSlide's name of the format, or PLAIN_VENDOR
    width_l0: int
    height_l0: int
    level_sizes: tuple[tuple[int, int], ...]  # (width, height) per level, the finest first
    level_downsamples: tuple[float, ...]
    """Level-0 px per px: a whole number where the level's size is that of a reduction by it, rounded."""
    whole_px_levels: tuple[bool, ...]
    """Whether the reader hands out the level's own pixels; where false it shifts them by a fraction."""
    mpp_um: float | None  # stated by the file and inside MPP_RANGE_UM
    background_rgb: Rgb = WHITE  # of places that the scanner left out
    reader: str = "openslide"  # what decodes its pixels: openslide, tiled-jpeg or plain
    colours: str = "as-stored"  # or `to-srgb` by the profile in the file, or `profile-unusable`


class PixelSource(Protocol):
    """An open slide or field; several threads may read from it, and one closes it when none does."""

    @property
    def info(self) -> SlideInfo:
        """The slide's header."""

    @property
    def icc(self) -> bytes | None:
        """The colour profile that the file carries for its pixels."""

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box that lies inside the level as (H, W, 3) uint8 RGB.

        Raises:
            BadSlideError: `unreadable_region`, when the pixels there cannot be decoded.
        """

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""


def plausible_mpp_um(mpp_x_um: float, mpp_y_um: float) -> float | None:
    """Return one µm/px for both axes, or None when either is out of range or they differ by over 2 %."""
    low, high = MPP_RANGE_UM
    if not (low <= mpp_x_um <= high and low <= mpp_y_um <= high):
        return None
    mean = (mpp_x_um + mpp_y_um) / 2
    return mean if abs(mpp_x_um - mpp_y_um) <= 0.02 * mean else None


def whole_downsample(size_l0: tuple[int, int], size_lv: tuple[int, int]) -> int | None:
    """Return the whole number that reduces a slide to a level's size, rounded up or down, if there is one."""
    ratio = round(size_l0[0] / size_lv[0])
    for full, reduced in zip(size_l0, size_lv, strict=True):
        if ratio < 1 or reduced not in (full // ratio, -(-full // ratio)):
            return None
    return ratio


def check_limits(level_sizes: tuple[tuple[int, int], ...]) -> None:
    """Refuse what no scanner makes before any pixel is asked for.

    Raises:
        BadSlideError: `too_large`, or `damaged` for a level without pixels.
    """
    if len(level_sizes) > MAX_LEVELS:
        raise BadSlideError(
            "too_large", f"it has {len(level_sizes)} levels, over the limit of {MAX_LEVELS}", "Export it again."
        )
    for width, height in level_sizes:
        if width < 1 or height < 1:
            raise BadSlideError("damaged", f"a level measures {width} x {height} px", "Export it again.")
        if max(width, height) > MAX_SIDE_PX or width * height > MAX_AREA_PX:
            raise BadSlideError(
                "too_large",
                f"it states {width} x {height} px, over the limit of {MAX_SIDE_PX} px a side or {MAX_AREA_PX} px",
                "Export the scanned area in parts.",
            )
