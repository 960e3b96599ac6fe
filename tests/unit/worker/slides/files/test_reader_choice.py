from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from tests.support.jpeg_slides import JpegLayout, write_jpeg_slide
from tests.support.slide_files import MemorySlide, pyramid, texture, write_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.openslide_source import OpenSlideSource
from worker.slides.files.reader_choice import Choice, choose
from worker.slides.files.tiff_structure import check_tiff
from worker.slides.slide import RgbImage

IMAGE = texture(600, 900)


def chosen(path: Path) -> Choice:
    with path.open("rb") as stream:
        pages = check_tiff(stream)
    return choose(path, pages, OpenSlideSource(path, openslide.OpenSlide.detect_format(path) or ""))


def overwrite(path: Path, **tags: object) -> None:
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, value in tags.items():
            tiff.pages.first.tags[name].overwrite(value)


class Other(MemorySlide):
    """A slide as another decoder shows it; some places of it cannot be read."""

    def __init__(self, levels: list[RgbImage], unreadable: Box | None = None) -> None:
        super().__init__(levels)
        self.unreadable = unreadable
        self.closed = False

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        if self.unreadable is not None and self.unreadable.clipped(box_lv).width * self.unreadable.width:
            raise BadSlideError("unreadable_region", "it is damaged", "Upload it again.")
        return super().read_lv(level, box_lv)

    def close(self) -> None:
        self.closed = True


def beside(path: Path, other: Other) -> Choice:
    with path.open("rb") as stream:
        return choose(path, check_tiff(stream), other)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_jpeg_slide(tmp_path / "slide.tif", pyramid(IMAGE, (1, 2)), JpegLayout(tile=(128, 128)))


def as_stored(path: Path) -> list[RgbImage]:
    source = OpenSlideSource(path, "generic-tiff")
    return [
        source.read_lv(level, Box(x=0, y=0, width=w, height=h)) for level, (w, h) in enumerate(source.info.level_sizes)
    ]


def test_an_equal_reader_is_chosen_and_the_other_closed(slide: Path) -> None:
    other = Other(as_stored(slide))
    choice = beside(slide, other)
    assert (choice.source.info.reader, choice.reason, other.closed) == ("tiled-jpeg", None, True)
    choice.source.close()


def test_one_value_of_one_px_in_the_sample_decides(slide: Path) -> None:
    levels = as_stored(slide)
    levels[1][299, 449, 2] ^= 1
    choice = beside(slide, other := Other(levels))
    assert choice.source is other
    assert choice.reason == "level 1 differs from OpenSlide's at 384,256"
    assert not other.closed


def test_a_tile_that_one_of_them_cannot_read_decides(slide: Path) -> None:
    choice = beside(slide, Other(as_stored(slide), unreadable=Box(x=0, y=0, width=1, height=1)))
    assert choice.reason == "level 0 differs from OpenSlide's at 0,0"


def damaged(path: Path, tiles: range) -> Path:
    """Alter the data of some tiles so that OpenSlide reads them all the same."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        places = [page.dataoffsets[no] + page.databytecounts[no] // 2 for no in tiles]
    content = bytearray(path.read_bytes())
    for place in places:
        content[place : place + 40] = bytes(range(101, 141))
    path.write_bytes(content)
    return path


def test_a_damaged_tile_does_not_hand_the_slide_to_a_decoder_that_shows_it(slide: Path) -> None:
    assert chosen(slide).source.info.reader == "tiled-jpeg"
    source = chosen(damaged(slide, range(1))).source
    assert source.info.reader == "tiled-jpeg"
    with pytest.raises(BadSlideError):
        source.read_lv(0, Box(x=0, y=0, width=128, height=128))
    source.close()


def test_many_damaged_tiles_do_not_either(slide: Path) -> None:
    source = chosen(damaged(slide, range(20))).source
    assert source.info.reader == "tiled-jpeg"
    source.close()


@pytest.mark.parametrize(("altered", "direct"), [(1, True), (30, False)])
def test_tiles_whose_headers_say_otherwise_are_a_writers_way_when_they_are_many(
    slide: Path, altered: int, direct: bool
) -> None:
    other = Other(as_stored(slide))
    frame = b"\xff\xc0\0\x11\x08\0\x80\0\x80"  # of 128 x 128 px
    content = slide.read_bytes()
    assert content.count(frame) > altered
    slide.write_bytes(content.replace(frame, frame[:-1] + b"\x78", altered))
    choice = beside(slide, other)
    assert (choice.source is other, choice.reason is None) == (not direct, direct)
    choice.source.close()


def test_a_slide_of_which_nothing_can_be_read_stays_with_openslide(slide: Path) -> None:
    content = slide.read_bytes().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x09")  # frames of 9 bits
    slide.write_bytes(content)
    assert chosen(slide).reason == "no tile of its sample can be read"


def test_the_choice_is_the_same_each_time(slide: Path) -> None:
    infos = {chosen(slide).source.info for _ in range(2)}
    assert len(infos) == 1


def test_a_slide_that_is_not_jpeg_stays_with_openslide(tmp_path: Path) -> None:
    choice = chosen(write_slide(tmp_path / "slide.tif", [IMAGE]))
    assert choice.source.info.reader == "openslide"
    assert choice.reason is not None
    assert "compression" in choice.reason


def test_a_slide_with_tiles_left_out_stays_with_openslide(slide: Path) -> None:
    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages.first
        counts, offsets = list(page.databytecounts), list(page.dataoffsets)
    overwrite(slide, TileByteCounts=[counts[0], 0, *counts[2:]], TileOffsets=[offsets[0], 0, *offsets[2:]])
    assert chosen(slide).reason == "level 0: tiles of it are left out"


def test_a_photometric_that_the_file_denies_is_found_out(tmp_path: Path) -> None:
    path = write_jpeg_slide(tmp_path / "slide.tif", [IMAGE], JpegLayout(shared_tables=False))
    overwrite(path, PhotometricInterpretation=2)  # but the tiles say JFIF
    assert chosen(path).source.info.reader == "openslide"


def test_another_vendors_slides_are_left_to_openslide(slide: Path) -> None:
    other = Other(as_stored(slide))
    other.info = replace(other.info, vendor="philips")
    assert beside(slide, other).reason == "philips slides are left to OpenSlide"


def test_levels_that_the_directories_do_not_hold_are_left_to_openslide(slide: Path) -> None:
    assert beside(slide, Other([np.asarray(IMAGE)])).reason == "its directories are not its levels one to one"
