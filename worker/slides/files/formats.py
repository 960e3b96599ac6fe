"""Which reader a file gets: decided by its content, never by its name and never by falling back.

OpenSlide reads what it recognises, and a file that it recognises but cannot open is damaged: openslide-python's
`open_slide` would hand it to Pillow instead, which reads a thumbnail or grey out of it.
"""

from __future__ import annotations

from pathlib import Path

import openslide

from worker.errors import BadSlideError
from worker.slides.files.dicom_series import check_one_series
from worker.slides.files.jpeg_check import check_jpeg_field, check_jpeg_strips
from worker.slides.files.large_tiff import check_large_tiff
from worker.slides.files.openslide_source import OpenSlideSource
from worker.slides.files.plain_field import PlainField, check_plain_tiff, open_field
from worker.slides.files.reader_choice import choose
from worker.slides.files.tiff_grid import check_grids
from worker.slides.files.tiff_structure import TiffPage, check_tiff
from worker.slides.slide import READABLE, PixelSource

_PLAIN_STARTS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP"))
_TIFF_STARTS = (b"II", b"MM")
_SETS = frozenset({".mrxs", ".vms", ".vmu"})
"""Indexes of slides that need files beside them; an MRXS index is a JPEG of the whole slide to any reader."""


def open_slide_file(path: Path) -> PixelSource:
    """Open a slide or a field for reading.

    Raises:
        BadSlideError: `empty_file`, `truncated`, `damaged`, `unsupported_format`, `several_series` or `too_large`;
            cause and remedy name no path.
    """
    size = path.stat().st_size
    if size == 0:
        raise BadSlideError("empty_file", "it has no bytes", "Upload the file again.")
    with path.open("rb") as stream:
        start = stream.read(16)
    pages = _tiff_pages(path, start, size) if start[:2] in _TIFF_STARTS else ()
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor == "dicom":
        check_one_series(path)
    if vendor is not None:
        return choose(path, pages, OpenSlideSource(path, vendor)).source
    if pages:
        return _plain_tiff(path, pages)
    if path.suffix.lower() in _SETS:
        raise BadSlideError(
            "unsupported_format",
            "it is the index of a slide whose other files are missing or of no known kind",
            "Upload the whole slide: its index and the files beside it, under their own names.",
        )
    for signature, kind in _PLAIN_STARTS:
        if start.startswith(signature):
            field = open_field(path, kind)
            if kind == "JPEG":
                check_jpeg_field(path)
            return field
    raise BadSlideError("unsupported_format", "its content is of no format that is read here", READABLE)


def _plain_tiff(path: Path, pages: tuple[TiffPage, ...]) -> PlainField:
    check_plain_tiff(path, pages)
    field = open_field(path, "TIFF")
    check_jpeg_strips(path, pages[0])
    return field


def _tiff_pages(path: Path, start: bytes, size: int) -> tuple[TiffPage, ...]:
    """Return the pages of a TIFF within its limits; none of an NDPI whose offsets are wider than the standard's."""
    with path.open("rb") as stream:
        if size < 2**32 or start[2:4] in (b"+\0", b"\0+"):
            pages = check_tiff(stream)
            check_grids(pages)
            return pages
        check_large_tiff(stream)
        return ()
