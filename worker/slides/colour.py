"""Turns a scanner's colours into sRGB where the file carries the scanner's colour profile.

Intent: relative colorimetric. White of the medium becomes white and colours inside sRGB keep their places towards
it; the perceptual intent may bend them to a vendor's taste. Little CMS (through Pillow) does the arithmetic, pixel by
pixel, so that a pixel's value never depends on its box. It takes 20-60 million px a second, so once a slide has
asked for as many px as there are colours, each colour's answer is kept in a table of 64 MiB: the same values at 100 to
130 million a second, from several threads at once.

A profile comes with the file and is as hostile as the rest of it: it is parsed where slides are decoded, and one that
does not make sense is left aside with the reason.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from worker.geometry import Box
from worker.slides.slide import PixelSource, RgbImage

ToSrgb: TypeAlias = Callable[[RgbImage], RgbImage]

MAX_PROFILE_BYTES = 16 * 2**20
_CLASSES = frozenset({"scnr", "mntr", "spac", "prtr"})
"""Profiles of devices and of colour spaces; links, effects and named colours describe no picture."""
_SAME_LEVELS = 1
"""A conversion that moves no colour by more than this is that of a picture in sRGB."""
_LEAST_RANGE = 128
_COLOURS = 2**24
_BAND = 2**16


class ProfileUse(StrEnum):
    """What became of a file's colour profile."""

    ABSENT = "absent"
    SRGB = "srgb"  # the colours are sRGB already
    APPLIED = "applied"
    UNUSABLE = "unusable"


@dataclass(frozen=True, kw_only=True)
class ColourProfile:
    """A file's profile, judged."""

    use: ProfileUse
    reason: str = ""  # why it is unusable, in one line
    to_srgb: ToSrgb | None = None  # where it is applied; may be called from several threads


def read_profile(icc: bytes | None) -> ColourProfile:
    """Judge an embedded ICC profile; whatever is in it, this returns."""
    if not icc:
        return ColourProfile(use=ProfileUse.ABSENT)
    if len(icc) > MAX_PROFILE_BYTES:
        return _unusable(f"it has {len(icc)} bytes, over the limit of {MAX_PROFILE_BYTES}")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        kind, space = profile.profile.device_class.strip(), profile.profile.xcolor_space.strip()
        if kind not in _CLASSES or space != "RGB":
            return _unusable("it is not the profile of an RGB device")
        transform = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _unusable("it cannot be read as an ICC profile")
    return _judged(_Conversion(transform))


def in_srgb(source: PixelSource) -> tuple[PixelSource, str]:
    """Return a source whose pixels are in sRGB, and what was done, as `SlideInfo.colours` says it."""
    profile = read_profile(source.icc)
    if profile.use is ProfileUse.UNUSABLE:
        return source, "profile-unusable"
    if profile.to_srgb is None:
        return source, "as-stored"
    return _InSrgb(source, profile.to_srgb), "to-srgb"


class _InSrgb:
    """A source behind a conversion (a `PixelSource`)."""

    icc = None

    def __init__(self, source: PixelSource, to_srgb: ToSrgb) -> None:
        self._source = source
        self._to_srgb = to_srgb
        self.info = source.info

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        return self._to_srgb(self._source.read_lv(level, box_lv))

    def close(self) -> None:
        self._source.close()


class _Conversion:
    """A transform that remembers its answers once they have been worth it."""

    def __init__(self, transform: ImageCms.ImageCmsTransform) -> None:
        self._transform = transform
        self._table: NDArray[np.uint32] | None = None
        self._asked_px = 0
        self._lock = threading.Lock()

    def __call__(self, rgb: RgbImage) -> RgbImage:
        table = self._table
        if table is None:
            with self._lock:  # Little CMS does not promise that one transform serves several threads
                self._asked_px += rgb.size // 3
                if self._asked_px <= _COLOURS or self._table is not None:
                    return self._computed(rgb)
                table = self._table = self._tabulated()
        colours = _packed(rgb)
        return np.asarray(cv2.cvtColor(table.take(colours)[..., None].view(np.uint8), cv2.COLOR_RGBA2RGB), np.uint8)

    def _computed(self, rgb: RgbImage) -> RgbImage:
        picture = Image.fromarray(rgb)
        ImageCms.applyTransform(picture, self._transform, inPlace=True)
        return np.asarray(picture)

    def _tabulated(self) -> NDArray[np.uint32]:
        """Return the answer to each colour, both with red in the lowest byte; in bands, to need no more memory."""
        table = np.empty(_COLOURS, dtype="<u4")
        for start in range(0, _COLOURS, _BAND):
            band = np.arange(start, start + _BAND, dtype="<u4").view(np.uint8).reshape(1, _BAND, 4)
            table[start : start + _BAND] = _packed(self._computed(np.ascontiguousarray(band[..., :3])))[0]
        return table


def _packed(rgb: RgbImage) -> NDArray[np.uint32]:
    """Return (H, W) numbers of 24 bits, red lowest."""
    rgba = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA))
    packed: NDArray[np.uint32] = rgba.view("<u4")[..., 0] & np.uint32(_COLOURS - 1)
    return packed


def _judged(conversion: _Conversion) -> ColourProfile:
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)
    moved = np.abs(conversion(grid).astype(np.int16) - grid)
    if moved.max() <= _SAME_LEVELS:
        return ColourProfile(use=ProfileUse.SRGB)
    greys = conversion(np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)).mean(axis=2)[0]
    if (np.diff(greys) < -_SAME_LEVELS).any() or greys[-1] - greys[0] < _LEAST_RANGE:
        return _unusable("it does not keep light from dark")
    return ColourProfile(use=ProfileUse.APPLIED, to_srgb=conversion)


def _unusable(reason: str) -> ColourProfile:
    return ColourProfile(use=ProfileUse.UNUSABLE, reason=reason)
