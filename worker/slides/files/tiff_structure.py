"""Whether a TIFF's directories and their pixel data lie inside the file, checked without decoding.

Decoders differ in what they forgive: some open a file that ends in the middle and fail, or invent grey, only
when the missing part is read. Offsets and sizes stand in the directories, so a cut file is known at once.
Layout: TIFF 6.0 and the BigTIFF design (64-bit offsets).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadSlideError

MAX_DIRECTORIES = 1024
MAX_TILE_PX = 2**26
MAX_VALUES = 2**24
UPLOAD_AGAIN = "Upload the file again; if its size equals the original's, export the original again."

_TYPE_CODE = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}
SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 273, 279, 322, 323, 324, 325
SAMPLES, PLANAR, SAMPLE_FORMAT, JPEG_TABLES = 277, 284, 339, 347
_KEPT = frozenset(
    {SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, PLANAR, SAMPLE_FORMAT}
    | {STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, JPEG_TABLES}
)

Values = NDArray[np.unsignedinteger]


@dataclass(frozen=True, kw_only=True)
class TiffPage:
    """One directory: the tags that say where its pixels are and how they are stored."""

    tags: Mapping[int, Values]

    def first(self, tag: int, default: int) -> int:
        """Return a tag's first value."""
        values = self.tags.get(tag)
        return default if values is None or len(values) == 0 else int(values[0])

    @property
    def chunks(self) -> tuple[Values, Values]:
        """Offsets and byte counts of its tiles or strips."""
        none: Values = np.zeros(0, dtype=np.uint64)
        if TILE_OFFSETS in self.tags:
            return self.tags[TILE_OFFSETS], self.tags.get(TILE_BYTES, none)
        return self.tags.get(STRIP_OFFSETS, none), self.tags.get(STRIP_BYTES, none)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How numbers are stored: byte order, and the sizes in which BigTIFF differs from TIFF."""

    order: str
    count_code: str  # number of entries in a directory
    offset_code: str  # offsets, and the number of values in an entry
    size: int  # of the file

    @property
    def offset_bytes(self) -> int:
        return struct.calcsize(self.offset_code)


def check_tiff(stream: BinaryIO) -> tuple[TiffPage, ...]:
    """Return the pages of an open TIFF after checking that all of them lie inside it.

    Raises:
        BadSlideError: `truncated` where something lies beyond the file's end, `damaged` where directories
            contradict themselves, `too_large` beyond the limits, `unsupported_format` for an unknown version.
    """
    pages = tuple(_pages(stream))
    for number, page in enumerate(pages):
        _check_page(page, number, os.fstat(stream.fileno()).st_size)
    return pages


def _pages(stream: BinaryIO) -> Iterator[TiffPage]:
    layout, offset = _header(stream)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise _damaged("its directories point back at each other")
        if len(seen) >= MAX_DIRECTORIES:
            raise BadSlideError("too_large", f"it has more than {MAX_DIRECTORIES} directories", "Export it again.")
        seen.add(offset)
        page, offset = _directory(stream, layout, offset)
        yield page
    if not seen:
        raise _damaged("it has no directory")


def _header(stream: BinaryIO) -> tuple[_Layout, int]:
    stream.seek(0)
    size = os.fstat(stream.fileno()).st_size
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    version = struct.unpack_from(order + "H", head, 2)[0] if len(head) >= 4 else None
    if version not in (42, 43):
        raise BadSlideError(
            "unsupported_format",
            f"it begins like a TIFF but states version {version}, which is neither 42 nor 43",
            UPLOAD_AGAIN,
        )
    big = version == 43
    layout = _Layout(order=order, count_code="Q" if big else "H", offset_code="Q" if big else "I", size=size)
    start = 8 if big else 4
    if len(head) < start + layout.offset_bytes:
        raise _beyond("its header", start + layout.offset_bytes, size)
    return layout, int(struct.unpack_from(order + layout.offset_code, head, start)[0])


def _directory(stream: BinaryIO, layout: _Layout, offset: int) -> tuple[TiffPage, int]:
    count_bytes = struct.calcsize(layout.count_code)
    raw = _read(stream, layout, offset, count_bytes, "a directory")
    entries = int(struct.unpack(layout.order + layout.count_code, raw)[0])
    entry_bytes = 4 + 2 * layout.offset_bytes
    length = entries * entry_bytes + layout.offset_bytes
    raw = _read(stream, layout, offset + count_bytes, length, "a directory")
    tags: dict[int, Values] = {}
    for number in range(entries):
        entry = raw[number * entry_bytes : (number + 1) * entry_bytes]
        tag, kind = struct.unpack_from(layout.order + "HH", entry)
        if tag in _KEPT and kind in _TYPE_CODE:
            tags[tag] = _values(stream, layout, kind, entry[4:])
    following = struct.unpack(layout.order + layout.offset_code, raw[-layout.offset_bytes :])[0]
    return TiffPage(tags=tags), int(following)


def _values(stream: BinaryIO, layout: _Layout, kind: int, entry: bytes) -> Values:
    count = int(struct.unpack_from(layout.order + layout.offset_code, entry)[0])
    length = count * np.dtype(_TYPE_CODE[kind]).itemsize
    raw = entry[layout.offset_bytes :]
    if length > layout.offset_bytes:
        place = int(struct.unpack(layout.order + layout.offset_code, raw)[0])
        if count > MAX_VALUES and place + length <= layout.size:
            raise BadSlideError("too_large", f"one of its tags has {count} values", "Export it again.")
        raw = _read(stream, layout, place, length, "a tag's values")
    return np.frombuffer(raw[:length], dtype=layout.order + _TYPE_CODE[kind])


def _read(stream: BinaryIO, layout: _Layout, offset: int, length: int, what: str) -> bytes:
    if offset + length > layout.size:
        raise _beyond(what, offset + length, layout.size)
    stream.seek(offset)
    return stream.read(length)


def _check_page(page: TiffPage, number: int, size: int) -> None:
    offsets, counts = (values.astype(np.uint64) for values in page.chunks)
    if len(offsets) == 0 or len(offsets) != len(counts):
        raise _damaged(f"page {number} lists {len(offsets)} places of pixel data and {len(counts)} sizes")
    if page.first(WIDTH, 0) < 1 or page.first(HEIGHT, 0) < 1:
        raise _damaged(f"page {number} states no width or height")
    tile_px = page.first(TILE_WIDTH, 0) * page.first(TILE_HEIGHT, 0)
    if tile_px > MAX_TILE_PX:
        raise BadSlideError(
            "too_large", f"page {number} has tiles of {tile_px} px, over {MAX_TILE_PX}", "Export it again."
        )
    # Offsets near 2**64 would wrap in a sum; compare by subtraction instead.
    outside = (counts > size) | (offsets > size - np.minimum(counts, size))
    if outside.any():
        furthest = int(offsets[outside].max()) + int(counts[outside].max())
        raise _beyond(f"{int(outside.sum())} of {len(offsets)} parts of page {number}", furthest, size)


def _damaged(cause: str) -> BadSlideError:
    return BadSlideError("damaged", cause, UPLOAD_AGAIN)


def _beyond(what: str, end: int, size: int) -> BadSlideError:
    return BadSlideError("truncated", f"{what} would end at byte {end}, but the file ends at byte {size}", UPLOAD_AGAIN)
