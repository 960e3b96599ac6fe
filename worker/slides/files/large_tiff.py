"""Limits of a classic TIFF of 4 GiB and more, whose directories are an NDPI's, checked before any reader sees it.

Hamamatsu's scanners write TIFF 6.0 with the offset of each directory in 8 bytes; the rest of their directories is
as OpenSlide reads it (src/openslide-decode-tifflike.c), and only sizes are of interest here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from worker.errors import BadSlideError
from worker.slides.files.tiff_structure import HEIGHT, MAX_DIRECTORIES, UPLOAD_AGAIN, WIDTH
from worker.slides.slide import check_limits

_NDPI = 65420
"""The tag that every directory of an NDPI has."""
_ENTRY = struct.Struct("<HHI4s")
_SHORT = 3


def check_large_tiff(stream: BinaryIO) -> None:
    """Check the directories of an open NDPI of 4 GiB and more.

    Raises:
        BadSlideError: `too_large` beyond the limits, `truncated` where a directory lies outside the file, `damaged`
            where directories contradict themselves, `unsupported_format` for another TIFF of that size.
    """
    stream.seek(0)
    if stream.read(4) != b"II*\0":
        raise _unsupported()
    seen: set[int] = set()
    for offset, entries in _directories(stream):
        if offset in seen:
            raise BadSlideError("damaged", "its directories point back at each other", UPLOAD_AGAIN)
        seen.add(offset)
        if len(seen) > MAX_DIRECTORIES:
            raise BadSlideError("too_large", f"it has more than {MAX_DIRECTORIES} directories", "Export it again.")
        if _NDPI not in entries:
            raise _unsupported()
        check_limits(((entries.get(WIDTH, 0), entries.get(HEIGHT, 0)),))


def _directories(stream: BinaryIO) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield each directory's place, and its tags' first values or places."""
    offset = _number(stream, 4)
    while offset:
        count = int.from_bytes(_bytes(stream, offset, 2), "little")
        raw = _bytes(stream, offset + 2, count * _ENTRY.size)
        yield offset, {tag: _first(kind, value) for tag, kind, _, value in _ENTRY.iter_unpack(raw)}
        offset = _number(stream, offset + 2 + count * _ENTRY.size)


def _first(kind: int, value: bytes) -> int:
    return int.from_bytes(value[:2] if kind == _SHORT else value, "little")


def _number(stream: BinaryIO, offset: int) -> int:
    return int.from_bytes(_bytes(stream, offset, 8), "little")


def _bytes(stream: BinaryIO, offset: int, length: int) -> bytes:
    size = os.fstat(stream.fileno()).st_size
    if offset + length > size:
        cause = f"a directory would end at byte {offset + length}, but the file ends at byte {size}"
        raise BadSlideError("truncated", cause, UPLOAD_AGAIN)
    stream.seek(offset)
    return stream.read(length)


def _unsupported() -> BadSlideError:
    return BadSlideError("unsupported_format", "it is a TIFF of 4 GiB or more that is no NDPI", "Export it as BigTIFF.")
