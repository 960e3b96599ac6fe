from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.support.slide_files import texture
from worker.errors import BadSlideError
from worker.slides.files.jpeg_structure import check_jpeg_parts
from worker.slides.files.tiff_structure import check_tiff

IMAGE = texture(64, 96)


def written(path: Path) -> tuple[bytearray, tuple[int, ...], tuple[int, ...]]:
    """Write two JPEG strips; return the file, where they are and how long."""
    tifffile.imwrite(path, IMAGE, compression="jpeg", rowsperstrip=32, photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        return bytearray(path.read_bytes()), tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts


def check(path: Path) -> None:
    with path.open("rb") as stream:
        check_jpeg_parts(stream, check_tiff(stream)[0])


def code_after(path: Path, content: bytearray) -> str:
    path.write_bytes(content)
    with pytest.raises(BadSlideError) as caught:
        check(path)
    return caught.value.code


def test_whole_strips_pass(tmp_path: Path) -> None:
    written(tmp_path / "a.tif")
    check(tmp_path / "a.tif")


def test_a_page_of_another_compression_passes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, compression="deflate", photometric="rgb")
    check(tmp_path / "a.tif")


def test_padding_after_the_end_marker_passes(tmp_path: Path) -> None:
    content, offsets, counts = written(tmp_path / "a.tif")
    strip = bytes(content[offsets[1] : offsets[1] + counts[1]])
    padded = strip[:-12] + b"\xff\xd9" + bytes(10)
    content[offsets[1] : offsets[1] + counts[1]] = padded
    (tmp_path / "a.tif").write_bytes(content)
    check(tmp_path / "a.tif")


def test_a_strip_without_its_end_is_truncated(tmp_path: Path) -> None:
    content, offsets, counts = written(tmp_path / "a.tif")
    half = offsets[1] + counts[1] // 2
    content[half : offsets[1] + counts[1]] = bytes(offsets[1] + counts[1] - half)
    assert code_after(tmp_path / "a.tif", content) == "truncated"


@pytest.mark.parametrize("at", [0, 2])
def test_a_strip_without_markers_is_damaged(tmp_path: Path, at: int) -> None:
    content, offsets, _ = written(tmp_path / "a.tif")
    content[offsets[0] + at] = 0
    assert code_after(tmp_path / "a.tif", content) == "damaged"


def test_a_segment_that_reaches_beyond_its_part_is_damaged(tmp_path: Path) -> None:
    content, offsets, _ = written(tmp_path / "a.tif")
    content[offsets[0] + 4 : offsets[0] + 6] = b"\xff\xff"
    assert code_after(tmp_path / "a.tif", content) == "damaged"


def test_tables_cut_inside_a_segment_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tables = b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes(np.arange(30, dtype=np.uint8))
    tifffile.imwrite(path, IMAGE, compression="jpeg", photometric="rgb", jpegtables=tables, metadata=None)
    assert code_after(path, bytearray(path.read_bytes())) == "damaged"
