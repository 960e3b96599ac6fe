"""That OpenSlide reads slides of several files as they were drawn, at every level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.slide_files import pyramid
from tests.support.slide_sets import write_dicom, write_mrxs, write_vms
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.slide import RgbImage


@pytest.mark.parametrize(
    ("write", "main"), [(write_mrxs, "x.mrxs"), (write_dicom, "level 1.dcm")], ids=["mrxs", "dicom"]
)
def test_every_level_is_as_drawn_whichever_file_is_opened(
    write: Callable[[Path], RgbImage], main: str, tmp_path: Path
) -> None:
    levels = pyramid(write(tmp_path / "s"), [1, 2])
    source = open_slide_file(tmp_path / "s" / main)
    for number, level in enumerate(levels):
        height, width = level.shape[:2]
        got = source.read_lv(number, Box(x=0, y=0, width=width, height=height))
        np.testing.assert_array_equal(got, level)
    assert source.info.level_downsamples == (1.0, 2.0)
    source.close()


def test_a_vms_is_its_pictures_side_by_side(tmp_path: Path) -> None:
    drawn = write_vms(tmp_path)
    source = open_slide_file(tmp_path / "x.vms")
    box = Box(x=200, y=17, width=100, height=90)  # over the seam
    np.testing.assert_array_equal(source.read_lv(0, box), drawn[17:107, 200:300])
    source.close()
