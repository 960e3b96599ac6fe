"""A whole JPEG stream from a TIFF tile and the tables that its directory keeps for all tiles.

The tile's own header is walked first: a frame of another size would make a decoder fill, or ask for, other memory
than was meant. What its samples mean is the directory's word, as it is for libtiff and OpenSlide, and a decoder is
told so by an Adobe segment behind the tile's own segments (the last one counts). ITU-T T.81 annex B, T.872 6.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

YCBCR = 6
"""The TIFF's photometric interpretation; 2 is RGB."""
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS, _JFIF = 0xDA, 0xE0
_SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1})
_OTHER_SEGMENTS = frozenset({0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})  # tables, restarts, comments, applications
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
_ADOBE_YCBCR = _ADOBE_RGB[:-1] + b"\x01"


@dataclass(frozen=True, kw_only=True)
class StreamFrame:
    """What all JPEG tiles of a level have in common."""

    start: bytes  # what comes before a tile's own segments: the start marker and the common tables
    photometric: int  # 2 RGB, 6 YCbCr
    width: int
    height: int

    def complete(self, tile: bytes) -> bytes:
        """Return a stream that any decoder reads as RGB of this size.

        Raises:
            ValueError: when the tile's header is not that of a sequential three-sample JPEG of this size.
        """
        scan = self.scan_start(tile)
        return self.beginning(tile[2:scan]) + tile[scan:]

    def beginning(self, segments: bytes) -> bytes:
        """Return what comes before the first scan of a tile with these segments."""
        colour = _ADOBE_YCBCR if self.photometric == YCBCR else _ADOBE_RGB
        return b"".join((self.start or _SOI, segments, colour))

    def scan_start(self, tile: bytes) -> int:
        """Return where the first scan begins after checking the segments before it."""
        if tile[:2] != _SOI:
            raise ValueError("it does not begin as JPEG")
        place, framed = 2, False
        while place + 4 <= len(tile) and tile[place] == 0xFF:
            marker = tile[place + 1]
            if marker == _SOS and framed:
                return place
            if marker in _SEQUENTIAL_FRAMES and not framed:
                self._check_frame(tile[place + 4 : place + 10])
                framed = True
            elif marker not in _OTHER_SEGMENTS or (marker == _JFIF and self.photometric != YCBCR):
                raise ValueError(f"its header has a marker {marker:#x} that is not read here")
            place += 2 + int.from_bytes(tile[place + 2 : place + 4], "big")
        raise ValueError("its header ends early")

    def _check_frame(self, frame: bytes) -> None:
        if frame != bytes((8, *self.height.to_bytes(2, "big"), *self.width.to_bytes(2, "big"), 3)):
            raise ValueError("its header states another size or another kind of pixels than its directory")


class StreamMaker:
    """Completes the tiles of a level; their headers are mostly the same, and one seen before needs no walk."""

    def __init__(self, frame: StreamFrame) -> None:
        self._frame = frame
        self._known = (_SOI, b"")  # a header up to its first scan's marker and with it, and what to begin with then

    def complete(self, data: bytes, start: int, end: int) -> bytes:
        """Do as StreamFrame.complete for the tile that lies in `data` from `start` to `end`."""
        header, beginning = self._known
        if not beginning or not data.startswith(header, start, end):
            tile = data[start:end]
            scan = self._frame.scan_start(tile)
            header = tile[: scan + 2]
            beginning = self._frame.beginning(header[2:scan]) + header[scan:]
            self._known = (header, beginning)
        return b"".join((beginning, memoryview(data)[start + len(header) : end]))


def tables_start(tables: bytes) -> bytes | None:
    """Return JPEG tables without their end marker, or None when they are not tables alone."""
    if not tables:
        return b""
    place = 2
    while place + 4 <= len(tables) and tables[place] == 0xFF and tables[place + 1] in _OTHER_SEGMENTS:
        place += 2 + int.from_bytes(tables[place + 2 : place + 4], "big")
    return tables[:place] if tables[:2] == _SOI and tables[place : place + 2] == _EOI else None
