from __future__ import annotations

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from tests.support.jpeg_slides import JpegLayout, write_jpeg_slide
from tests.support.slide_files import data_folder, pyramid, texture
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.files.openslide_source import OpenSlideSource
from worker.slides.files.tiled_jpeg import TiledJpegSource
from worker.slides.slide import PixelSource

IMAGE = texture(700, 1100)
LEVELS = pyramid(IMAGE, (1, 2, 4))
LAYOUTS = {
    "converter": JpegLayout(),
    "whole streams": JpegLayout(shared_tables=False),
    "svs": JpegLayout(aperio=True),
    "svs, rgb": JpegLayout(aperio=True, rgb=True, tile=(240, 240)),
    "rgb, whole streams": JpegLayout(rgb=True, shared_tables=False),
    "4:2:2": JpegLayout(subsampling="422", tile=(512, 512)),
    "4:4:4": JpegLayout(subsampling="444", tile=(64, 64)),
    "oblong": JpegLayout(tile=(128, 256)),
    "tall": JpegLayout(tile=(1024, 512)),
    "one tile": JpegLayout(tile=(1024, 2048)),
}


def direct(path: Path) -> TiledJpegSource:
    source = open_slide_file(path)
    assert isinstance(source, TiledJpegSource)
    return source


def boxes(width: int, height: int) -> list[Box]:
    """Return the whole level, a part across tile borders, one px at the end and a strip."""
    return [
        Box(x=0, y=0, width=width, height=height),
        Box(x=width // 5, y=height // 7, width=width // 2, height=height // 2),
        Box(x=width - 1, y=height - 1, width=1, height=1),
        Box(x=0, y=height // 3, width=width, height=3),
    ]


def assert_equal(ours: PixelSource, oracle: PixelSource) -> None:
    """Compare the levels on whole level-0 px everywhere, the others as wholes (OpenSlide shifts their parts)."""
    for level, size in enumerate(oracle.info.level_sizes):
        for box in boxes(*size)[: 4 if oracle.info.whole_px_levels[level] else 1]:
            np.testing.assert_array_equal(ours.read_lv(level, box), oracle.read_lv(level, box))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_pixels_equal_those_of_openslide_in_every_layout(tmp_path: Path, name: str) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", LEVELS, LAYOUTS[name])
    vendor = openslide.OpenSlide.detect_format(path)
    assert vendor == ("aperio" if LAYOUTS[name].aperio else "generic-tiff")
    source, oracle = direct(path), OpenSlideSource(path, vendor)
    assert source.info.reader == "tiled-jpeg"
    assert source.info.level_sizes == oracle.info.level_sizes == ((1100, 700), (550, 350), (275, 175))
    assert source.info.mpp_um == oracle.info.mpp_um == pytest.approx(0.25)
    assert_equal(source, oracle)
    source.close()
    oracle.close()


def test_a_level_that_openslide_would_shift_gives_its_stored_pixels(tmp_path: Path) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", pyramid(IMAGE[:699, :1099], (1, 2)))
    source, oracle = direct(path), OpenSlideSource(path, "generic-tiff")
    assert oracle.info.whole_px_levels == (True, False)
    assert source.info.whole_px_levels == (True, True)
    assert_equal(source, oracle)
    whole = source.read_lv(1, Box(x=0, y=0, width=549, height=349))
    np.testing.assert_array_equal(source.read_lv(1, Box(x=301, y=77, width=40, height=50)), whole[77:127, 301:341])


@pytest.mark.parametrize("folder", ["good", "tiny"])
def test_pixels_of_every_sound_file_equal_those_of_openslide(folder: str) -> None:
    read_directly = set()
    for path in sorted(data_folder(f"wsi/{folder}").iterdir()):
        vendor = openslide.OpenSlide.detect_format(path)
        if vendor is None:
            continue
        source, oracle = open_slide_file(path), OpenSlideSource(path, vendor)
        assert_equal(source, oracle)
        if source.info.reader == "tiled-jpeg":
            read_directly.add(path.suffix)
        source.close()
        oracle.close()
    assert read_directly == {".svs"}


def test_several_threads_read_what_one_does(tmp_path: Path) -> None:
    source = direct(write_jpeg_slide(tmp_path / "slide.tif", LEVELS))
    whole = source.read_lv(0, Box(x=0, y=0, width=1100, height=700))
    rng = np.random.default_rng(3)
    places = [Box(x=int(x), y=int(y), width=300, height=250) for x, y in rng.integers((0, 0), (800, 450), (60, 2))]
    with ThreadPoolExecutor(4) as pool:
        for box, part in zip(places, pool.map(lambda box: source.read_lv(0, box), places), strict=True):
            np.testing.assert_array_equal(part, whole[box.y : box.y_end, box.x : box.x_end])
    source.close()


def test_tiles_may_lie_anywhere_and_share_their_bytes(tmp_path: Path) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", [IMAGE], JpegLayout(tile=(128, 128)))
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        order = [0, 0, 1, 2, 3, 3, 2, 3, 4, 9, 13, 10, 11, 12, *range(14, len(page.dataoffsets))]
        content = bytearray(path.read_bytes())
        for tag, values in ((324, page.dataoffsets), (325, page.databytecounts)):
            entry = page.tags[tag]
            moved = [values[number] for number in order]
            struct.pack_into(f"<{len(moved)}{'IQ'[entry.dtype != 4]}", content, entry.valueoffset, *moved)
    path.write_bytes(content)
    source, oracle = direct(path), OpenSlideSource(path, "generic-tiff")
    assert_equal(source, oracle)
    source.close()
    oracle.close()


def test_a_file_that_gets_shorter_shows_nothing_of_what_was_read_before(tmp_path: Path) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", [IMAGE], JpegLayout(tile=(128, 128)))
    source, row = direct(path), Box(x=0, y=0, width=1024, height=128)
    assert source.read_lv(0, row).std() > 10
    offset, count = tile_place(path, 7)
    os.truncate(path, offset + count // 2)
    with pytest.raises(BadSlideError, match="level 0 cannot be decoded at 896,0"):
        source.read_lv(0, row)
    os.truncate(path, 16)
    with pytest.raises(BadSlideError, match="level 0 cannot be decoded at 0,0"):
        source.read_lv(0, row)
    source.close()


def tile_place(path: Path, number: int) -> tuple[int, int]:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        return page.dataoffsets[number], page.databytecounts[number]


def altered(path: Path, how: str) -> None:
    """Damage tile 7 of the first level, which the sample of a choice does not hold."""
    offset, count = tile_place(path, 7)
    content = bytearray(path.read_bytes())
    middle = offset + count // 2
    if how == "cut":
        content[middle : offset + count] = b"\xff\xd9" + bytes(offset + count - middle - 2)
    elif how == "zeros":
        content[middle : offset + count] = bytes(offset + count - middle)
    else:
        frame = content.index(b"\xff\xc0", offset)
        struct.pack_into(">HH", content, frame + 5, *{"huge": (65500, 65500), "small": (64, 64)}[how])
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "zeros", "huge", "small"])
def test_a_damaged_tile_is_named_and_never_grey(tmp_path: Path, how: str) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", [IMAGE], JpegLayout(tile=(128, 128)))
    altered(path, how)
    source = direct(path)
    for _ in range(2):
        with pytest.raises(BadSlideError, match="level 0 cannot be decoded at 896,0") as caught:
            source.read_lv(0, Box(x=880, y=10, width=60, height=20))
        assert caught.value.code == "unreadable_region"
        assert "\n" not in caught.value.cause
    assert source.read_lv(0, Box(x=0, y=0, width=896, height=700)).std() > 10
    source.close()


def test_closing_twice_is_harmless_and_reading_then_a_mistake(tmp_path: Path) -> None:
    source = direct(write_jpeg_slide(tmp_path / "slide.tif", [IMAGE]))
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read_lv(0, Box(x=0, y=0, width=5, height=5))
