"""Whether JPEG data decodes without a warning: altered data does not, and turns into white or grey in silence.

libjpeg goes on after damaged data and fills the rest with whatever comes of it; Pillow and libtiff pass that on as a
picture. So the data is decoded once more, at an eighth of its size, by a decoder that takes each warning for an error.
"""

from __future__ import annotations

from pathlib import Path

import simplejpeg

from worker.errors import BadSlideError
from worker.slides.files.jpeg_structure import JPEG_IN_TIFF
from worker.slides.files.tiff_structure import COMPRESSION, JPEG_TABLES, UPLOAD_AGAIN, TiffPage

_REDUCED_BY = 8


def check_jpeg_field(path: Path) -> None:
    """Check a JPEG picture that has been opened as such.

    Raises:
        BadSlideError: `damaged`, or `truncated` where data is missing.
    """
    _check(path.read_bytes(), "its JPEG data")


def check_jpeg_strips(path: Path, page: TiffPage) -> None:
    """Check every strip or tile of a plain TIFF that has been opened as such; other compressions pass.

    Raises:
        BadSlideError: `damaged`, or `truncated` where data is missing.
    """
    if page.first(COMPRESSION, 1) != JPEG_IN_TIFF:
        return
    tables = page.tags[JPEG_TABLES].tobytes() if JPEG_TABLES in page.tags else b""
    with path.open("rb") as stream:
        for number, (offset, count) in enumerate(zip(*page.chunks, strict=True)):
            stream.seek(int(offset))
            data = stream.read(int(count))
            # The tables are a stream of their own: without its end marker, and the data without its start marker.
            _check(tables[:-2] + data[2:] if tables else data, f"JPEG part {number}")


def _check(data: bytes, what: str) -> None:
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=_REDUCED_BY, strict=True)
    except ValueError as error:
        code = "truncated" if "premature end" in str(error).lower() else "damaged"
        raise BadSlideError(
            code, f"{what} is altered or incomplete: a strict decoder refuses it", UPLOAD_AGAIN
        ) from error
