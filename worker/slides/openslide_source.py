"""Pixels of a slide through OpenSlide.

An error latches on an OpenSlide handle: every later read of it fails, or is empty. So a failed read gets a fresh
handle and one more try before the region is given up. OpenSlide addresses every level in level-0 px and
interpolates where that meets no whole px of the level: such levels serve overviews only (`whole_px_levels`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import openslide

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.plain_field import over_background
from worker.slides.slide import (
    READABLE,
    WHITE,
    Rgb,
    RgbImage,
    SlideInfo,
    check_limits,
    plausible_mpp_um,
    whole_downsample,
)
from worker.slides.tiff_structure import UPLOAD_AGAIN

_CACHE_BYTES = 32 * 2**20


class OpenSlideSource:
    """An open slide (a `PixelSource`); holds one handle, replaced after an error."""

    def __init__(self, path: Path, vendor: str) -> None:
        self._path = path
        self._handle: openslide.OpenSlide | None = None
        self.icc: bytes | None = None
        try:
            self.info = _info(self._open(), vendor)
        except openslide.OpenSlideError as error:
            self.close()
            said = _said(error, path)
            unknown = said.startswith("Unsupported")
            raise BadSlideError(
                "unsupported_format" if unknown else "damaged",
                f"it is a {vendor} file that OpenSlide cannot open: {said}",
                READABLE if unknown else UPLOAD_AGAIN,
            ) from error
        except BadSlideError:
            self.close()
            raise

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box inside a level as (H, W, 3) uint8 RGB, empty places in the slide's background colour.

        Raises:
            BadSlideError: `unreadable_region`, when it fails on a fresh handle too.
        """
        try:
            return self._read(level, box_lv)
        except openslide.OpenSlideError:
            self.close()
        try:
            return self._read(level, box_lv)
        except openslide.OpenSlideError as error:
            self.close()
            cause = (
                f"level {level} cannot be decoded at {box_lv.x},{box_lv.y}"
                f" ({box_lv.width} x {box_lv.height} px): {_said(error, self._path)}"
            )
            raise BadSlideError("unreadable_region", cause, UPLOAD_AGAIN) from error

    def close(self) -> None:
        """Close the handle; a later read would open another."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _open(self) -> openslide.OpenSlide:
        if self._handle is None:
            self._handle = openslide.OpenSlide(self._path)
            self._handle.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
        return self._handle

    def _read(self, level: int, box_lv: Box) -> RgbImage:
        handle = self._open()
        downsample = handle.level_downsamples[level]
        place_l0 = (round(box_lv.x * downsample), round(box_lv.y * downsample))
        rgba = np.asarray(handle.read_region(place_l0, level, (box_lv.width, box_lv.height)))
        if rgba.size and int(rgba[..., 3].min()) == 255:
            return cast(RgbImage, cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))
        return over_background(rgba, self.info.background_rgb)


def _info(handle: openslide.OpenSlide, vendor: str) -> SlideInfo:
    sizes = tuple((int(width), int(height)) for width, height in handle.level_dimensions)
    check_limits(sizes)
    wholes = tuple(whole_downsample(sizes[0], size) for size in sizes)
    stated = handle.level_downsamples
    return SlideInfo(
        vendor=vendor,
        width_l0=sizes[0][0],
        height_l0=sizes[0][1],
        level_sizes=sizes,
        level_downsamples=tuple(float(whole or downsample) for whole, downsample in zip(wholes, stated, strict=True)),
        whole_px_levels=tuple(whole == downsample for whole, downsample in zip(wholes, stated, strict=True)),
        mpp_um=_header_mpp_um(handle),
        background_rgb=_background(handle),
    )


def _header_mpp_um(handle: openslide.OpenSlide) -> float | None:
    try:
        mpp_x_um = float(handle.properties[openslide.PROPERTY_NAME_MPP_X])
        mpp_y_um = float(handle.properties[openslide.PROPERTY_NAME_MPP_Y])
    except (KeyError, ValueError):
        return None
    return plausible_mpp_um(mpp_x_um, mpp_y_um)


def _background(handle: openslide.OpenSlide) -> Rgb:
    stated = handle.properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "")
    if not re.fullmatch(r"[0-9A-Fa-f]{6}", stated):
        return WHITE
    red, green, blue = bytes.fromhex(stated)
    return red, green, blue


def _said(error: openslide.OpenSlideError, path: Path) -> str:
    """Return a library's message on one line, short, without the machine's paths."""
    text = str(error).replace(str(path.resolve()), "the file").replace(str(path), "the file")
    text = re.sub(r"(?:/[^/\s]+)+/?", "…", text.replace(path.name, "the file"))
    return " ".join(text.split())[:160]
