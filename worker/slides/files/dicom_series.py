"""Which DICOM series the files of a folder belong to: one slide is one series, and OpenSlide does not see others.

Of each file only the tags up to the Series Instance UID are walked (DICOM PS3.5, section 7; PS3.10, section 7).
"""

from __future__ import annotations

import struct
from pathlib import Path

from worker.errors import BadSlideError

HEADER_BYTES = 2**16
_PREFIX = 128
_WHOLE_SLIDE = b"1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
_IMPLICIT, _DEFLATED, _BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
_SOP_CLASS, _SYNTAX, _SERIES = 0x0002_0002, 0x0002_0010, 0x0020_000E
_ITEM_GROUP, _ENDS = 0xFFFE, (0xFFFE_E00D, 0xFFFE_E0DD)
_UNDEFINED = 0xFFFF_FFFF
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Kinds of values whose length has 32 bits."""


def check_one_series(path: Path) -> None:
    """Refuse a slide whose folder holds whole-slide images of several series.

    Raises:
        BadSlideError: `several_series`.
    """
    files = (file for file in path.parent.iterdir() if file.suffix.lower() == ".dcm")
    series = {uid for file in files if (uid := _series_of(file)) is not None}
    if len(series) > 1:
        raise BadSlideError(
            "several_series",
            f"its folder holds {len(series)} DICOM series, and only one of them would be read",
            "Upload each series into a folder of its own, and take this one away.",
        )


def series_uid(header: bytes) -> bytes | None:
    """Return the Series Instance UID of a whole-slide image by its first bytes; None of anything else."""
    try:
        return _walked(header)
    except struct.error:  # the header ends within a tag
        return None


def _series_of(file: Path) -> bytes | None:
    with file.open("rb") as stream:
        return series_uid(stream.read(HEADER_BYTES))


def _walked(header: bytes) -> bytes | None:
    if header[_PREFIX : _PREFIX + 4] != b"DICM":
        return None
    at, explicit, values = _PREFIX + 4, True, dict.fromkeys((_SOP_CLASS, _SYNTAX, _SERIES), b"")
    while not values[_SERIES]:
        if at + 2 <= len(header) and header[at : at + 2] != b"\x02\x00":  # behind the file's own group
            if values[_SOP_CLASS] != _WHOLE_SLIDE or values[_SYNTAX] in (_DEFLATED, _BIG_ENDIAN):
                return None
            explicit = values[_SYNTAX] != _IMPLICIT
        tag, start, length = _element(header, at, explicit=explicit)
        if tag > _SERIES:
            return None
        if tag in values:
            values[tag] = header[start : start + length].rstrip(b"\0 ")
        at = start + length if length != _UNDEFINED else _end_of_items(header, start, explicit=explicit)
    return values[_SERIES]


def _element(header: bytes, at: int, *, explicit: bool) -> tuple[int, int, int]:
    """Return the tag of the element at an offset, where its value starts, and the value's length."""
    group, number, kind, short = struct.unpack_from("<HH2sH", header, at)
    tag = group << 16 | number
    if not explicit or group == _ITEM_GROUP:
        return tag, at + 8, struct.unpack_from("<I", header, at + 4)[0]
    if kind in _LONG:
        return tag, at + 12, struct.unpack_from("<I", header, at + 8)[0]
    return tag, at + 8, short


def _end_of_items(header: bytes, at: int, *, explicit: bool) -> int:
    """Return the offset behind a sequence of undefined length, which may hold others."""
    depth = 1
    while depth:
        tag, start, length = _element(header, at, explicit=explicit)
        depth += (length == _UNDEFINED) - (tag in _ENDS)
        at = start + (0 if length == _UNDEFINED else length)
    return at
