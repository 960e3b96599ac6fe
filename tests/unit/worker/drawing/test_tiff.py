"""worker.drawing.tiff: OpenSlide reads what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest

from db.records import CellClass
from worker.drawing.grid import Pixels
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.errors import BadRequestError


@pytest.fixture(scope="module")
def picture() -> Pixels:
    spec = SmearSpec(width_px=2048, height_px=1024, seed=1, composition={CellClass.EOSINOPHIL: 20})
    return draw_smear(spec).rgb


@pytest.mark.parametrize("mpp_um", [0.25, 0.1234, 0.5])
def test_openslide_opens_it_with_its_scale(tmp_path: Path, picture: Pixels, mpp_um: float) -> None:
    write_pyramid(tmp_path / "a.tif", picture, mpp_um)
    with openslide.OpenSlide(tmp_path / "a.tif") as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp_um, rel=1e-3)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(mpp_um, rel=1e-3)
        assert slide.level_dimensions == ((2048, 1024), (1024, 512))
        assert slide.level_downsamples == (1.0, 2.0)


def test_level_0_is_the_picture(tmp_path: Path, picture: Pixels) -> None:
    write_pyramid(tmp_path / "a.tif", picture, 0.25)
    with openslide.OpenSlide(tmp_path / "a.tif") as slide:
        read = np.asarray(slide.read_region((0, 0), 0, (2048, 1024)))[..., :3]
    difference = np.abs(read.astype(int) - picture)
    assert float(difference.mean()) < 2.5
    assert float(np.percentile(difference, 99.9)) < 16
    assert read.mean(axis=(0, 1)) == pytest.approx(picture.mean(axis=(0, 1)), abs=0.5)


def test_lower_levels_are_the_same_picture(tmp_path: Path, picture: Pixels) -> None:
    write_pyramid(tmp_path / "a.tif", picture, 0.25)
    with openslide.OpenSlide(tmp_path / "a.tif") as slide:
        low = np.asarray(slide.read_region((0, 0), 1, (1024, 512)))[..., :3]
    means = picture.reshape(512, 2, 1024, 2, 3).mean(axis=(1, 3))
    assert float(np.abs(low - means).mean()) < 2.5


def test_nothing_but_the_file_is_left_and_bytes_repeat(tmp_path: Path, picture: Pixels) -> None:
    for name in ("a.tif", "b.tif"):
        write_pyramid(tmp_path / name, picture, 0.25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_pictures_below_a_tile_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="smaller than a tile"):
        write_pyramid(tmp_path / "a.tif", np.zeros((200, 400, 3), np.uint8), 0.25)
