from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
import tifffile

from tests.support.slide_files import texture
from worker.errors import BadSlideError
from worker.slides.files.tiff_structure import HEIGHT, WIDTH, TiffPage, check_tiff

IMAGE = texture(300, 400)


def check(path: Path) -> tuple[TiffPage, ...]:
    with path.open("rb") as stream:
        return check_tiff(stream)


def code_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BadSlideError) as caught:
        check(path)
    return caught.value.code


def tiny(entries: list[tuple[int, int, int]], following: int = 0) -> bytes:
    """Return a classic TIFF of one directory of LONG tags (tag, count, value) and 16 bytes of pixels."""
    packed = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in entries)
    return struct.pack("<2sHI16sH", b"II", 42, 24, bytes(16), len(entries)) + packed + struct.pack("<I", following)


SOUND = [(256, 1, 4), (257, 1, 4), (273, 1, 8), (279, 1, 16)]


def with_tag(tag: int, count: int, value: int) -> list[tuple[int, int, int]]:
    return sorted([entry for entry in SOUND if entry[0] != tag] + [(tag, count, value)])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("how", [{}, {"tile": (128, 128)}, {"rowsperstrip": 7}])
def test_sound_files_of_every_layout_pass(tmp_path: Path, bigtiff: bool, byteorder: Any, how: dict[str, Any]) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:
        tiff.write(IMAGE, photometric="rgb", **how)
        tiff.write(IMAGE[:50], photometric="rgb", **how)
    pages = check(path)
    assert [(page.first(WIDTH, 0), page.first(HEIGHT, 0)) for page in pages] == [(400, 300), (400, 50)]
    with tifffile.TiffFile(path) as tiff_file:
        assert tuple(pages[0].chunks[0].tolist()) == tiff_file.pages[0].dataoffsets


def test_every_cut_of_a_file_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, IMAGE[:20, :20], photometric="rgb", tile=(16, 16), metadata=None)
    content = whole.read_bytes()
    for length in range(8, len(content), 97):
        assert code_of(tmp_path / "cut.tif", content[:length]) == "truncated"


def test_the_tiny_file_is_sound(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiny(SOUND))
    assert len(check(tmp_path / "a.tif")) == 1


@pytest.mark.parametrize(
    ("entries", "following", "code"),
    [
        (SOUND, 24, "damaged"),  # the directory names itself as the next one
        (SOUND, 2**31, "truncated"),
        (with_tag(273, 1, 2**32 - 4), 0, "truncated"),
        (with_tag(279, 1, 2**32 - 4), 0, "truncated"),
        (with_tag(273, 2, 24), 0, "damaged"),  # two places, one size
        (SOUND[:2], 0, "damaged"),
        (with_tag(256, 1, 0), 0, "damaged"),
        (with_tag(279, 2**30, 0), 0, "truncated"),
        ([*SOUND, (322, 1, 2**16), (323, 1, 2**16)], 0, "too_large"),
    ],
)
def test_directories_that_cannot_be_true_are_refused(
    tmp_path: Path, entries: list[tuple[int, int, int]], following: int, code: str
) -> None:
    assert code_of(tmp_path / "a.tif", tiny(entries, following)) == code


def test_a_tag_of_millions_of_values_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiny(with_tag(279, 2**25, 0)))
    os.truncate(path, 2**30)  # the file does hold them, as a hole
    with pytest.raises(BadSlideError, match="too_large"):
        check(path)


def test_an_endless_chain_of_directories_is_refused(tmp_path: Path) -> None:
    directory = struct.pack("<H", 0)
    chain = b"".join(directory + struct.pack("<I", 8 + 6 * (n + 1)) for n in range(2000))
    assert code_of(tmp_path / "a.tif", struct.pack("<2sHI", b"II", 42, 8) + chain) == "too_large"


def test_a_bigtiff_offset_near_the_end_of_64_bits_does_not_wrap(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", bigtiff=True, metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages.first.tags["StripOffsets"].valueoffset
    struct.pack_into("<Q", content, place, 2**64 - 16)
    assert code_of(path, bytes(content)) == "truncated"
