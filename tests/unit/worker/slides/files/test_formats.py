from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.slide_files import REFUSED, data_folder, pyramid, texture, write_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.slide import PLAIN_VENDOR

IMAGE = texture(300, 400)


def read_whole(path: Path) -> None:
    source = open_slide_file(path)
    source.read_lv(0, Box(x=0, y=0, width=source.info.width_l0, height=source.info.height_l0))


def refusal(path: Path) -> BadSlideError:
    """Open a file and read its pixels; return why that is refused."""
    with pytest.raises(BadSlideError) as caught:
        read_whole(path)
    error = caught.value
    for text in (error.cause, error.remedy):
        assert text
        assert "\n" not in text
        assert path.name not in text
        assert str(path.parent) not in text
    return error


def encoded(kind: str, image: np.ndarray = IMAGE) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG"])
def test_a_field_is_read_by_its_content_whatever_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "field.svs"
    path.write_bytes(encoded(kind))
    source = open_slide_file(path)
    assert source.info.vendor == PLAIN_VENDOR
    assert source.info.mpp_um is None  # a printing resolution is no scale
    rgb = source.read_lv(0, Box(x=10, y=20, width=30, height=40))
    difference = np.abs(rgb.astype(int) - IMAGE[20:60, 10:40])
    assert difference.mean() <= (12 if kind == "JPEG" else 0)


def test_a_slide_is_read_by_openslide_with_the_scale_of_its_tags(tmp_path: Path) -> None:
    source = open_slide_file(write_slide(tmp_path / "named.png", pyramid(IMAGE, (1, 2)), mpp_um=0.23))
    assert source.info.vendor == "generic-tiff"
    assert source.info.mpp_um == pytest.approx(0.23)
    assert source.info.level_sizes == ((400, 300), (200, 150))
    assert source.info.level_downsamples == (1.0, 2.0)
    source.close()


def test_a_scale_of_72_dots_per_inch_is_not_taken_over(tmp_path: Path) -> None:
    assert open_slide_file(write_slide(tmp_path / "a.tif", [IMAGE], mpp_um=352.78)).info.mpp_um is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"patient list, not a slide", "unsupported_format"),
        (b"II*\0", "truncated"),
        (b"II\x01\x01" + bytes(100), "unsupported_format"),
        (b"II*\0" + bytes(100), "damaged"),
        (encoded("PNG")[:3000], "truncated"),
        (encoded("JPEG")[:3000], "truncated"),
        (encoded("BMP")[:3000], "truncated"),
        (encoded("TIFF")[:3000], "truncated"),
        (encoded("PNG")[:40], "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "secret-name.svs"
    path.write_bytes(content)
    assert refusal(path).code == code


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_slide_cut_short_is_refused_before_any_read(tmp_path: Path, part: float) -> None:
    whole = write_slide(tmp_path / "whole.tif", pyramid(texture(1000, 900), (1, 2))).read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(BadSlideError) as caught:
        open_slide_file(cut)
    assert caught.value.code == "truncated"


def test_an_mrxs_index_alone_is_not_read_as_the_picture_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "slide.mrxs"
    path.write_bytes(encoded("JPEG"))
    assert refusal(path).code == "unsupported_format"


def test_a_recognised_slide_that_openslide_cannot_open_is_not_handed_to_pillow(tmp_path: Path) -> None:
    path = tmp_path / "slide.tif"
    write_slide(path, [IMAGE])
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages.first
        page.tags["Compression"].overwrite(52479)
    assert openslide.OpenSlide.detect_format(path) == "generic-tiff"
    assert refusal(path).code == "unsupported_format"


def test_a_missing_file_is_not_the_slides_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_slide_file(tmp_path / "gone.svs")


@cache
def sound_file(kind: str) -> bytes:
    if kind != "slide":
        return encoded(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = write_slide(Path(folder) / "slide.tif", pyramid(IMAGE, (1, 2)), tile=(64, 64), compression="jpeg")
        return path.read_bytes()


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "slide"]), st.lists(st.integers(0, 2**16), max_size=6), st.data())
def test_altered_bytes_end_in_pixels_or_a_reason(kind: str, places: list[int], data: st.DataObject) -> None:
    content = bytearray(sound_file(kind))
    for place in places:
        content[place % len(content)] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "altered.svs"
        path.write_bytes(content)
        with suppress(BadSlideError):  # anything else, a crash included, is a failure
            read_whole(path)


def test_every_corrupt_file_is_refused_for_its_own_reason() -> None:
    files = sorted(data_folder("wsi/corrupt").iterdir())
    assert {path.name: refusal(path).code for path in files} == REFUSED


def test_a_signed_field_is_refused() -> None:
    assert refusal(data_folder("wsi/odd") / "single-channel.ome.tif").code == "unsupported_format"


@pytest.mark.parametrize("folder", ["good", "tiny"])
def test_every_sound_file_is_read_as_its_reader_reads_it(folder: str) -> None:
    for path in sorted(data_folder(f"wsi/{folder}").iterdir()):
        source = open_slide_file(path)
        box = Box(x=0, y=0, width=min(512, source.info.width_l0), height=min(512, source.info.height_l0))
        rgb = source.read_lv(0, box)
        assert rgb.shape == (box.height, box.width, 3)
        if source.info.vendor != PLAIN_VENDOR:
            with openslide.OpenSlide(path) as slide:
                oracle = slide.read_region((0, 0), 0, (box.width, box.height)).convert("RGB")
            np.testing.assert_array_equal(rgb, np.asarray(oracle))
        source.close()
