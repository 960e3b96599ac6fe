from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from tests.support.slide_files import texture
from worker.errors import BadSlideError
from worker.slides.files.formats import open_slide_file

IMAGE = texture(300, 400)


def field(path: Path, *how: int) -> Path:
    cv2.imwrite(str(path), IMAGE, how)
    return path


def strips(path: Path, **how: Any) -> Path:
    options = {"photometric": "rgb", "compression": "jpeg", "rowsperstrip": 64, **how}
    tifffile.imwrite(path, IMAGE, **options)
    return path


def altered(path: Path) -> Path:
    """Change a few bytes in the middle of the file, where pixel data lies, to others that need no escape."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(range(1, 41))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", [field, strips])
def test_altered_jpeg_data_that_pillow_reads_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = altered(make(tmp_path / "a.jpg"))
    with pytest.raises(BadSlideError) as caught:
        open_slide_file(path)
    assert caught.value.code == "damaged"
    assert "strict decoder" in caught.value.cause


@pytest.mark.parametrize("how", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
def test_sound_fields_pass(tmp_path: Path, how: tuple[int, ...]) -> None:
    assert open_slide_file(field(tmp_path / "a.jpg", *how)).info.width_l0 == 400


def test_a_grey_field_passes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), IMAGE[..., 0])
    open_slide_file(tmp_path / "a.jpg")


def test_bytes_behind_the_picture_are_none_of_ours(tmp_path: Path) -> None:
    path = field(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"more")
    open_slide_file(path)


@pytest.mark.parametrize("how", [{}, {"subsampling": (2, 2)}, {"rowsperstrip": 300}])
def test_sound_strips_pass(tmp_path: Path, how: dict[str, Any]) -> None:
    opened = open_slide_file(strips(tmp_path / "a.tif", **how))
    assert opened.info.vendor == "plain"


def test_a_grey_tiff_passes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ascontiguousarray(IMAGE[..., 0]), compression="jpeg", rowsperstrip=64)
    open_slide_file(tmp_path / "a.tif")
