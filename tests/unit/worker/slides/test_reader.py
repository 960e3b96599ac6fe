from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from tests.support.icc_profiles import matrix_profile
from tests.support.slide_files import MemorySlide, plane_of, texture
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.colour import read_profile
from worker.slides.reader import LocalReader, each_readable
from worker.slides.slide import WHITE, RgbImage

IMAGE = texture(700, 900)
BOXES = [Box(x=x, y=y, width=130, height=90) for y in range(-20, 700, 90) for x in range(-20, 900, 130)]


class Torn(MemorySlide):
    """A slide that cannot be decoded around one place."""

    code = "unreadable_region"

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Fail where the box holds the place."""
        if box_lv.holds_mean(450, 350, 1):
            raise BadSlideError(self.code, "it cannot be decoded", "Upload the file again.")
        return super().read_lv(level, box_lv)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_tiles_come_in_order_and_as_one_by_one(threads: int) -> None:
    reader = LocalReader(MemorySlide([IMAGE]), threads=threads)
    plane = plane_of(reader.info, 80)
    with closing(reader.tiles(plane, BOXES, WHITE)) as tiles:
        for box, tile in zip(BOXES, tiles, strict=True):
            assert isinstance(tile, np.ndarray)
            np.testing.assert_array_equal(tile, reader.tile(plane, box, WHITE))


def test_tiles_are_put_in_the_places_given_for_them(threads: int) -> None:
    reader = LocalReader(Torn([IMAGE]), threads=threads)
    places: list[RgbImage] = [np.zeros((90, 130, 3), dtype=np.uint8) for _ in BOXES]
    asked: list[int] = []

    def place(no: int) -> RgbImage:
        asked.append(no)
        return places[no]

    plane = plane_of(reader.info, 64)
    with closing(reader.tiles_into(plane, BOXES, WHITE, place)) as tiles:
        for no, (box, tile) in enumerate(zip(BOXES, tiles, strict=True)):
            assert asked == list(range(len(asked)))
            assert len(asked) - no <= (1 if threads == 1 else threads + 2)
            if isinstance(tile, np.ndarray):
                assert np.shares_memory(tile, places[no])
                np.testing.assert_array_equal(places[no], reader.tile(plane, box, WHITE))
            else:
                assert box.holds_mean(450, 350, 1)


def test_a_torn_place_costs_its_own_tiles_only(threads: int) -> None:
    reader = LocalReader(Torn([IMAGE]), threads=threads)
    with closing(reader.tiles(plane_of(reader.info, 64), BOXES, WHITE)) as tiles:
        torn = [box for box, tile in zip(BOXES, tiles, strict=True) if isinstance(tile, BadSlideError)]
    assert torn == [box for box in BOXES if box.holds_mean(450, 350, 1)]
    assert len(torn) == 1


def test_any_other_fault_ends_the_reading(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Torn, "code", "damaged")
    reader = LocalReader(Torn([IMAGE]), threads=threads)
    with (
        pytest.raises(BadSlideError, match="damaged"),
        closing(reader.tiles(plane_of(reader.info, 64), BOXES, WHITE)) as tiles,
    ):
        list(tiles)


def test_reading_may_stop_in_the_middle(threads: int) -> None:
    reader = LocalReader(MemorySlide([IMAGE]), threads=threads)
    with closing(reader.tiles(plane_of(reader.info, 64), BOXES, WHITE)) as tiles:
        next(tiles)


def test_samples_leave_out_what_cannot_be_decoded() -> None:
    reader = LocalReader(Torn([IMAGE]))
    apart = [Box(x=0, y=0, width=50, height=40), Box(x=440, y=340, width=50, height=40)]
    assert [rgb.shape for rgb in each_readable(lambda box: reader.region(0, box), apart)] == [(40, 50, 3)]
    with pytest.raises(BadSlideError, match="unreadable_region"):
        list(each_readable(lambda box: reader.region(0, box), apart[1:]))


def test_pixels_are_turned_into_srgb_once_by_the_profile_in_the_file() -> None:
    slide = MemorySlide([IMAGE])
    slide.icc = matrix_profile()
    reader, turned = LocalReader(slide), read_profile(slide.icc).to_srgb
    assert turned is not None
    assert reader.info.colours == "to-srgb"
    box = Box(x=-10, y=5, width=60, height=50)
    tile = reader.tile(plane_of(reader.info, 64), box, (1, 2, 3))
    assert (tile[:, :10] == (1, 2, 3)).all(), "the background is in sRGB already"
    np.testing.assert_array_equal(tile[:, 10:], turned(IMAGE[5:55, :50].copy()))
    np.testing.assert_array_equal(reader.overview(1).rgb, turned(IMAGE.copy()))


def test_a_profile_that_makes_no_sense_is_told_and_left_aside() -> None:
    slide = MemorySlide([IMAGE])
    slide.icc = b"no profile"
    reader = LocalReader(slide)
    assert reader.info.colours == "profile-unusable"
    np.testing.assert_array_equal(reader.region(0, Box(x=0, y=0, width=9, height=9)), IMAGE[:9, :9])
