"""Pixels of a slide through OpenSlide.

An error latches on an OpenSlide handle: every later read of it fails, or is empty. So a failed read gets a fresh
handle and one more try before the region is given up. OpenSlide addresses every level in level-0 px and
interpolates where that meets no whole px of the level: such levels serve overviews only (`whole_px_levels`).
"""

from __future__ import annotations

import math
import re
import threading
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import openslide
from PIL import ImageCms

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.plain_field import over_background
from worker.slides.files.tiff_structure import MAX_TILE_PX, UPLOAD_AGAIN
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

_CACHE_BYTES = 32 * 2**20


class OpenSlideSource:
    """An open slide (a `PixelSource`); several threads may read from it, and one closes it when none does."""

    def __init__(self, path: Path, vendor: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._shared: _Shared | None = None
        try:
            handle = _opened(path)
        except openslide.OpenSlideError as error:
            raise _refusal(error, vendor, path) from error
        self._shared = _Shared(handle)
        try:
            self.info = _info(handle, vendor)
            self.icc = _colour_profile(handle)
        except openslide.OpenSlideError as error:
            self.close()
            raise _refusal(error, vendor, path) from error
        except BadSlideError:
            self.close()
            raise

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box inside a level as (H, W, 3) uint8 RGB, empty places in the slide's background colour.

        Raises:
            BadSlideError: `unreadable_region`, when it fails on a fresh handle too.
        """
        try:
            shared = self._borrow()
            try:
                return self._pixels(shared.handle, level, box_lv)
            except openslide.OpenSlideError:
                self._retire(shared)
            finally:
                self._give_back(shared)
            return self._again(level, box_lv)
        except openslide.OpenSlideError as error:
            cause = (
                f"level {level} cannot be decoded at {box_lv.x},{box_lv.y}"
                f" ({box_lv.width} x {box_lv.height} px): {_said(error, self._path)}"
            )
            raise BadSlideError("unreadable_region", cause, UPLOAD_AGAIN) from error

    def close(self) -> None:
        """Close the handle; a later read would open another."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared.handle.close()

    def _borrow(self) -> _Shared:
        with self._lock:
            if self._shared is None:
                self._shared = _Shared(_opened(self._path))
            self._shared.readers += 1
            return self._shared

    def _retire(self, shared: _Shared) -> None:
        """Let no further read begin on a handle: an error has latched."""
        with self._lock:
            if self._shared is shared:
                self._shared = None

    def _give_back(self, shared: _Shared) -> None:
        """Close a retired handle when the last read on it has ended."""
        with self._lock:
            shared.readers -= 1
            done_with = shared.readers == 0 and self._shared is not shared
        if done_with:
            shared.handle.close()

    def _again(self, level: int, box_lv: Box) -> RgbImage:
        """Read on a fresh handle that no other thread has, or another's bad box would fail this one's good box."""
        handle = _opened(self._path)
        try:
            rgb = self._pixels(handle, level, box_lv)
        except openslide.OpenSlideError:
            handle.close()
            raise
        with self._lock:
            wanted = self._shared is None
            if wanted:
                self._shared = _Shared(handle)
        if not wanted:
            handle.close()
        return rgb

    def _pixels(self, handle: openslide.OpenSlide, level: int, box_lv: Box) -> RgbImage:
        downsample = handle.level_downsamples[level]
        place_l0 = (round(box_lv.x * downsample), round(box_lv.y * downsample))
        rgba = np.asarray(handle.read_region(place_l0, level, (box_lv.width, box_lv.height)))
        if rgba.size and int(rgba[..., 3].min()) == 255:
            return cast(RgbImage, cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))
        return over_background(rgba, self.info.background_rgb)


class _Shared:
    """A handle, and how many threads read from it now."""

    def __init__(self, handle: openslide.OpenSlide) -> None:
        self.handle = handle
        self.readers = 0


def _opened(path: Path) -> openslide.OpenSlide:
    handle = openslide.OpenSlide(path)
    handle.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
    return handle


def _refusal(error: openslide.OpenSlideError, vendor: str, path: Path) -> BadSlideError:
    said = _said(error, path)
    unknown = said.startswith("Unsupported")
    return BadSlideError(
        "unsupported_format" if unknown else "damaged",
        f"it is a {vendor} file that OpenSlide cannot open: {said}",
        READABLE if unknown else UPLOAD_AGAIN,
    )


def _colour_profile(handle: openslide.OpenSlide) -> bytes | None:
    """Return the colour profile that the file carries, None for one that is broken."""
    try:
        profile = handle.color_profile
    except (OSError, ImageCms.PyCMSError):
        return None
    return None if profile is None else profile.tobytes()


def _info(handle: openslide.OpenSlide, vendor: str) -> SlideInfo:
    sizes = tuple((int(width), int(height)) for width, height in handle.level_dimensions)
    check_limits(sizes)
    _check_tiles(handle, len(sizes))
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


def _check_tiles(handle: openslide.OpenSlide, levels: int) -> None:
    """Refuse tiles that cannot be decoded one by one, before one is; not every format states them."""
    for level in range(levels):
        stated = [handle.properties.get(f"openslide.level[{level}].tile-{side}", "1") for side in ("width", "height")]
        tile_px = math.prod(int(value) if value.isdecimal() else 0 for value in stated)
        if tile_px > MAX_TILE_PX:
            cause = f"level {level} has tiles of {tile_px} px, over the limit of {MAX_TILE_PX}"
            raise BadSlideError("too_large", cause, "Export it again.")


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
