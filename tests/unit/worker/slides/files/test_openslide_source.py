from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import ImageCms

from tests.support.slide_files import pyramid, texture, write_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.openslide_source import OpenSlideSource

IMAGE = texture(1024, 1024)
BAD = Box(x=300, y=10, width=20, height=20)
GOOD = Box(x=600, y=600, width=50, height=40)


def opened(path: Path) -> OpenSlideSource:
    return OpenSlideSource(path, "generic-tiff")


def with_bad_tile(path: Path) -> Path:
    """Write a slide whose second tile cannot be decoded."""
    write_slide(path, [IMAGE])
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = bytes(200)
    path.write_bytes(content)
    return path


def test_levels_are_read_px_for_px(tmp_path: Path) -> None:
    levels = pyramid(IMAGE, (1, 2, 4))
    source = opened(write_slide(tmp_path / "a.tif", levels))
    assert source.info.whole_px_levels == (True, True, True)
    for number, level in enumerate(levels):
        rgb = source.read_lv(number, Box(x=13, y=200, width=99, height=41))
        np.testing.assert_array_equal(rgb, level[200:241, 13:112])
    source.close()


def test_a_level_that_openslide_would_shift_is_marked(tmp_path: Path) -> None:
    source = opened(write_slide(tmp_path / "a.tif", pyramid(IMAGE[:1013], (1, 2, 4))))
    assert source.info.level_downsamples == (1.0, 2.0, 4.0)
    assert source.info.whole_px_levels == (True, False, False)
    source.close()


def test_a_place_that_the_scanner_left_out_is_white(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.tif", [IMAGE])
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages.first
        for name, values in (("TileByteCounts", page.databytecounts), ("TileOffsets", page.dataoffsets)):
            page.tags[name].overwrite([values[0], 0, *values[2:]])
    rgb = opened(path).read_lv(0, Box(x=200, y=0, width=100, height=30))
    np.testing.assert_array_equal(rgb[:, :56], IMAGE[:30, 200:256])
    assert (rgb[:, 56:] == 255).all()


def test_one_bad_tile_is_named_and_leaves_the_others_readable(tmp_path: Path) -> None:
    source = opened(with_bad_tile(tmp_path / "a.tif"))
    for _ in range(2):
        with pytest.raises(BadSlideError, match="level 0 cannot be decoded at 300,10") as caught:
            source.read_lv(0, BAD)
        assert caught.value.code == "unreadable_region"
        np.testing.assert_array_equal(source.read_lv(0, GOOD), IMAGE[600:640, 600:650])
    source.close()


def test_a_handle_on_which_an_error_latched_is_replaced_within_the_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles: list[openslide.OpenSlide] = []

    class Recorded(openslide.OpenSlide):
        def __init__(self, filename: Path) -> None:
            super().__init__(filename)
            handles.append(self)

    monkeypatch.setattr(openslide, "OpenSlide", Recorded)
    source = opened(with_bad_tile(tmp_path / "a.tif"))
    with pytest.raises(openslide.OpenSlideError):
        handles[0].read_region((300, 10), 0, (20, 20))
    with pytest.raises(openslide.OpenSlideError):  # it has latched
        handles[0].read_region((600, 600), 0, (50, 40))
    np.testing.assert_array_equal(source.read_lv(0, GOOD), IMAGE[600:640, 600:650])
    assert len(handles) == 2
    source.close()


def test_a_bad_tile_in_one_thread_fails_no_good_one_in_another(tmp_path: Path) -> None:
    source = opened(with_bad_tile(tmp_path / "a.tif"))

    def outcome(number: int) -> str | None:
        box = BAD if number % 3 == 0 else Box(x=520, y=number, width=50, height=40)
        try:
            rgb = source.read_lv(0, box)
        except BadSlideError as error:
            return error.code
        np.testing.assert_array_equal(rgb, IMAGE[number : number + 40, 520:570])
        return None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(outcome, range(300)))
    source.close()
    assert outcomes == ["unreadable_region" if number % 3 == 0 else None for number in range(300)]


def test_handles_that_failed_are_closed_once_nobody_reads_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now = 0

    class Counted(openslide.OpenSlide):
        def __init__(self, filename: Path) -> None:
            nonlocal open_now
            super().__init__(filename)
            open_now += 1

        def close(self) -> None:
            nonlocal open_now
            super().close()
            open_now -= 1

    monkeypatch.setattr(openslide, "OpenSlide", Counted)
    source = opened(with_bad_tile(tmp_path / "a.tif"))
    for _ in range(3):
        with pytest.raises(BadSlideError):
            source.read_lv(0, BAD)
        source.read_lv(0, GOOD)
    assert open_now == 1
    source.close()
    assert open_now == 0


@pytest.mark.parametrize("stated", ["sound", "broken", None])
def test_the_colour_profile_of_the_file_is_kept_when_it_is_sound(tmp_path: Path, stated: str | None) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    embedded = {"sound": profile, "broken": b"not a profile", None: None}[stated]
    source = opened(write_slide(tmp_path / "a.tif", [IMAGE], iccprofile=embedded))
    assert (source.icc is not None) == (stated == "sound")
    source.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    source = opened(write_slide(tmp_path / "a.tif", [IMAGE]))
    source.close()
    source.close()


def test_a_message_of_the_library_names_no_path(tmp_path: Path) -> None:
    path = tmp_path / "patient-name.tif"
    path.write_bytes(b"II*\0")
    with pytest.raises(BadSlideError) as caught:
        opened(path)
    assert "patient-name" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
