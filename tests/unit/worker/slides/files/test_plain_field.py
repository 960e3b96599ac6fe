from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.slide_files import texture
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.files.plain_field import over_background
from worker.slides.slide import RgbImage

GREY = texture(40, 50)[..., 0]
ALPHA = texture(40, 50, seed=2)[..., 1]
RGB = texture(40, 50, seed=3)
ON_WHITE = (RGB.astype(float) * ALPHA[..., None] + 255.0 * (255 - ALPHA[..., None].astype(float))) / 255


def pixels(path: Path) -> RgbImage:
    source = open_slide_file(path)
    return source.read_lv(0, Box(x=0, y=0, width=source.info.width_l0, height=source.info.height_l0))


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    rgb = pixels(saved(tmp_path / "grey.png", Image.fromarray(GREY)))
    np.testing.assert_array_equal(rgb, np.stack([GREY] * 3, axis=2))


def test_a_palette_is_resolved(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(16)
    np.testing.assert_array_equal(pixels(saved(tmp_path / "p.png", image)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", ["alpha.png", "alpha.tif"])
def test_transparency_shows_white(tmp_path: Path, name: str) -> None:
    rgba = np.dstack([RGB, ALPHA])
    rgb = pixels(saved(tmp_path / name, Image.fromarray(rgba)))
    assert np.abs(rgb - ON_WHITE).max() <= 0.5


def test_premultiplied_grey_shows_white_behind_it(tmp_path: Path) -> None:
    premultiplied = (GREY.astype(np.uint16) * ALPHA // 255).astype(np.uint8)
    path = tmp_path / "la.tif"
    tifffile.imwrite(path, np.dstack([premultiplied, ALPHA]), photometric="minisblack", extrasamples=["assocalpha"])
    np.testing.assert_array_equal(pixels(path)[..., 1], premultiplied + (255 - ALPHA))


def test_orientation_is_ignored_so_that_coordinates_are_the_files(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    path = saved(tmp_path / "turned.png", Image.fromarray(RGB), exif=exif)
    np.testing.assert_array_equal(pixels(path), RGB)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY > 128),
        Image.fromarray(GREY.astype(np.uint16) * 257),
        Image.fromarray(RGB).convert("CMYK"),
    ],
    ids=["1 bit", "16 bit", "CMYK"],
)
def test_other_pixels_than_8_bit_colour_and_grey_are_refused(tmp_path: Path, image: Image.Image) -> None:
    path = saved(tmp_path / "image.tif", image)
    with pytest.raises(BadSlideError) as caught:
        open_slide_file(path)
    assert caught.value.code == "unsupported_format"


def test_several_pictures_in_one_tiff_are_refused_and_a_thumbnail_is_not(tmp_path: Path) -> None:
    for subfile_type in (0, 1):
        path = tmp_path / f"pages{subfile_type}.tif"
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(RGB, photometric="rgb")
            tiff.write(RGB[::4, ::4].copy(), photometric="rgb", subfiletype=subfile_type)
        if subfile_type:
            np.testing.assert_array_equal(pixels(path), RGB)
        else:
            with pytest.raises(BadSlideError, match="2 pictures of full size"):
                open_slide_file(path)


@pytest.mark.parametrize("area", [99, 60])
def test_a_picture_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, area: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RGB[..., 0].size * area // 100 - 1)  # Pillow warns, or raises
    with pytest.raises(BadSlideError) as caught:
        open_slide_file(saved(tmp_path / "large.png", Image.fromarray(RGB)))
    assert caught.value.code == "too_large"


def test_laying_over_a_background_rounds_to_nearest() -> None:
    rgba = np.array([[[0, 0, 0, 0], [10, 20, 30, 255], [0, 100, 200, 128]]], dtype=np.uint8)
    laid = over_background(rgba, (240, 230, 220))
    assert laid.tolist() == [[[240, 230, 220], [10, 20, 30], [120, 165, 210]]]


def test_a_field_has_one_level(tmp_path: Path) -> None:
    source = open_slide_file(saved(tmp_path / "field.png", Image.fromarray(RGB)))
    with pytest.raises(IndexError):
        source.read_lv(1, Box(x=0, y=0, width=1, height=1))
