"""Whether the JPEG data inside a plain TIFF is whole, checked without decoding.

libtiff passes libjpeg's complaints on as warnings, so a decoder built on it returns a picture for tables that
are cut off, or grey for a strip that ends in the middle. The segment structure (ITU-T T.81, annex B) tells both.
"""

from __future__ import annotations

from typing import BinaryIO

from worker.errors import BadSlideError
from worker.slides.files.tiff_structure import COMPRESSION, JPEG_TABLES, UPLOAD_AGAIN, TiffPage

JPEG_IN_TIFF = 7
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def check_jpeg_parts(stream: BinaryIO, page: TiffPage) -> None:
    """Check the tables and every strip or tile of a JPEG-compressed page; other pages pass.

    Raises:
        BadSlideError: `damaged` where segments do not fit together, `truncated` where a part has no end.
    """
    if page.first(COMPRESSION, 1) != JPEG_IN_TIFF:
        return
    if JPEG_TABLES in page.tags and not _is_whole(page.tags[JPEG_TABLES].tobytes(), "its JPEG tables"):
        raise BadSlideError("truncated", "its JPEG tables have no end marker", UPLOAD_AGAIN)
    for number, (offset, count) in enumerate(zip(*page.chunks, strict=True)):
        stream.seek(int(offset))
        if not _is_whole(stream.read(int(count)), f"JPEG part {number}"):
            raise BadSlideError("truncated", f"JPEG part {number} has no end marker", UPLOAD_AGAIN)


def _is_whole(data: bytes, what: str) -> bool:
    """Walk the segments up to the pixels and tell whether an end marker follows."""
    if data[:2] != bytes((0xFF, _SOI)):
        raise BadSlideError("damaged", f"{what} do not begin as JPEG", UPLOAD_AGAIN)
    place = 2
    while place + 2 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF:
            raise BadSlideError("damaged", f"{what} hold no marker at byte {place}", UPLOAD_AGAIN)
        if marker == _EOI:
            return True
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        elif marker == _SOS:  # inside pixel data an end marker cannot occur by chance: 0xFF is escaped there
            return data.rfind(bytes((0xFF, _EOI)), place) > place
        else:
            place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
            if place > len(data):
                raise BadSlideError("damaged", f"{what} end inside a segment", UPLOAD_AGAIN)
    return False
