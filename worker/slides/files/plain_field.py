"""Plain camera fields: one PNG, JPEG, BMP or TIFF picture, decoded whole by Pillow.

Pixels stay as stored: an EXIF orientation is ignored, so that coordinates are those of the file. The resolution
that such a file states is a printing resolution; its scale comes from a sidecar, an option or the site.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.jpeg_structure import check_jpeg_parts
from worker.slides.files.tiff_structure import BITS, SAMPLE_FORMAT, SUBFILE_TYPE, UPLOAD_AGAIN, TiffPage
from worker.slides.slide import PLAIN_VENDOR, WHITE, Rgb, RgbImage, SlideInfo, check_limits

_REDUCED_IMAGE = 1
_UNSIGNED = 1
_OPAQUE_MODES = frozenset({"L", "RGB", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "RGBA", "PA", "P", "La", "RGBa"})
_AS_8_BIT = "Save the field as 8-bit RGB PNG or TIFF."
# Pillow's decoders answer malformed files with all of these.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)


class PlainField:
    """A decoded picture as a slide with one level (a `PixelSource`)."""

    def __init__(self, rgb: RgbImage, icc: bytes | None = None) -> None:
        height, width = rgb.shape[:2]
        self._rgb = rgb
        self.icc = icc
        self.info = SlideInfo(
            vendor=PLAIN_VENDOR,
            width_l0=width,
            height_l0=height,
            level_sizes=((width, height),),
            level_downsamples=(1.0,),
            whole_px_levels=(True,),
            mpp_um=None,
            reader="plain",
        )

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box of level 0 as (H, W, 3) uint8 RGB."""
        if level != 0:
            raise IndexError(f"a plain field has no level {level}")
        return self._rgb[box_lv.y : box_lv.y_end, box_lv.x : box_lv.x_end]

    def close(self) -> None:
        """Do nothing: the file was closed when it had been decoded."""


def open_field(path: Path, kind: str) -> PlainField:
    """Decode a picture of the given Pillow format (`PNG`, `JPEG`, `BMP`, `TIFF`) in full.

    Raises:
        BadSlideError: `truncated`, `damaged`, `too_large`, or `unsupported_format` for other than 8-bit colour
            or grey.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=[kind]) as picture:
                check_limits((picture.size,))
                picture.load()
                return PlainField(_on_white(picture), picture.info.get("icc_profile"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadSlideError(
            "too_large",
            f"it is one picture of more than {Image.MAX_IMAGE_PIXELS} px",
            "Save it as a tiled, pyramidal TIFF.",
        ) from None
    except _PILLOW_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the file's
        code = "truncated" if "truncated" in str(error).lower() else "damaged"
        cause = f"its {kind} data cannot be decoded ({type(error).__name__})"
        raise BadSlideError(code, cause, UPLOAD_AGAIN) from error


def check_plain_tiff(path: Path, pages: tuple[TiffPage, ...]) -> None:
    """Refuse a TIFF that Pillow would read otherwise than it is meant, or only in part.

    Raises:
        BadSlideError: `unsupported_format` for several pictures, or pixels that are not 8-bit unsigned;
            `damaged` or `truncated` for missing parts.
    """
    full = [page for page in pages if not page.first(SUBFILE_TYPE, 0) & _REDUCED_IMAGE]
    if len(full) != 1 or full[0] is not pages[0]:
        raise BadSlideError(
            "unsupported_format", f"it holds {len(full)} pictures of full size", "Save each field as a file of its own."
        )
    bits = pages[0].tags.get(BITS, np.ones(1, dtype=np.uint16))
    formats = pages[0].tags.get(SAMPLE_FORMAT, np.ones(1, dtype=np.uint16))
    if (bits != 8).any() or (formats != _UNSIGNED).any():
        raise BadSlideError("unsupported_format", "its pixels are not 8-bit unsigned numbers", _AS_8_BIT)
    if (pages[0].chunks[1] == 0).any():
        raise BadSlideError("damaged", "parts of its picture are missing", UPLOAD_AGAIN)
    with path.open("rb") as stream:
        check_jpeg_parts(stream, pages[0])


def over_background(rgba: RgbImage, background: Rgb, *, premultiplied: bool = False) -> RgbImage:
    """Lay (H, W, 4) uint8 RGBA over a colour and return (H, W, 3) uint8 RGB, rounded to nearest."""
    rgb: RgbImage = np.ascontiguousarray(rgba[..., :3])
    seen_through = rgba[..., 3] < 255
    front = rgba[seen_through].astype(np.uint32)  # (N, 4)
    alpha = front[:, 3:]
    mixed = front[:, :3] * (255 if premultiplied else alpha) + (255 - alpha) * np.asarray(background, dtype=np.uint32)
    rgb[seen_through] = np.minimum((mixed + 127) // 255, 255)
    return rgb


def _on_white(picture: Image.Image) -> RgbImage:
    if picture.mode in _OPAQUE_MODES and "transparency" not in picture.info:
        return np.asarray(picture.convert("RGB"))
    if picture.mode not in _OPAQUE_MODES | _ALPHA_MODES:
        raise BadSlideError("unsupported_format", f"its pixels are of the kind {picture.mode}", _AS_8_BIT)
    if picture.mode == "La":  # Pillow converts grey with premultiplied alpha to nothing else
        grey_alpha = np.asarray(picture)
        return over_background(grey_alpha[..., (0, 0, 0, 1)], WHITE, premultiplied=True)
    if picture.mode == "RGBa":
        return over_background(np.asarray(picture), WHITE, premultiplied=True)
    return over_background(np.asarray(picture.convert("RGBA")), WHITE)
