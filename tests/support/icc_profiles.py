"""ICC profiles written byte by byte, whose transform the test knows."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""X, Y, Z of sRGB's red, green and blue under D50."""
_D50 = (0.9642, 1.0, 0.8249)


def matrix_profile(
    primaries: Sequence[Sequence[float]] = SRGB_PRIMARIES,
    *,
    gamma: float = 1.8,
    kind: bytes = b"scnr",
    space: bytes = b"RGB ",
    white: Sequence[float] = _D50,
) -> bytes:
    """Return a profile of version 2: light = value ** gamma in each channel, mixed from these primaries.

    `white` is the colour of the medium, which only an absolute conversion shows.
    """
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78),
        b"cprt": b"text\0\0\0\0x\0",
        b"wtpt": _xyz(white),
    }
    for name, primary in zip("rgb", primaries, strict=True):
        tags[f"{name}XYZ".encode()] = _xyz(primary)
        tags[f"{name}TRC".encode()] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(tags, kind, space)


def _profile(tags: Mapping[bytes, bytes], kind: bytes, space: bytes) -> bytes:
    place = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", place + len(data))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = kind + space + b"XYZ "
    header[36:40] = b"acsp"
    header[68:80] = _numbers(_D50)
    return bytes(header) + table + data


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(values)


def _numbers(values: Sequence[float]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)
