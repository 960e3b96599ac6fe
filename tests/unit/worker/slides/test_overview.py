from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.support.slide_files import MemorySlide, pyramid, texture
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides import overview
from worker.slides.overview import overview_at_most, overview_within, usable_levels
from worker.slides.slide import RgbImage

IMAGE = texture(530, 800)
PYRAMID = MemorySlide(pyramid(IMAGE, (1, 4, 16)))


@pytest.mark.parametrize(("factor", "expected"), [(1, (0, 1)), (3, (0, 1)), (4, (1, 4)), (15, (1, 4)), (40, (2, 16))])
def test_the_coarsest_level_up_to_the_factor_is_taken(factor: int, expected: tuple[int, int]) -> None:
    assert usable_levels(PYRAMID.info, factor)[0] == expected
    assert usable_levels(PYRAMID.info, factor)[-1] == (0, 1)


@pytest.mark.parametrize(("asked", "factor", "shape"), [(8, 8, (66, 100)), (15, 12, (44, 67)), (16, 16, (33, 50))])
def test_an_overview_is_as_coarse_as_asked_or_finer(asked: int, factor: int, shape: tuple[int, int]) -> None:
    result = overview_at_most(PYRAMID, asked)
    assert result.factor == factor
    assert result.rgb.shape == (*shape, 3)


@pytest.mark.parametrize("max_px", [1, 37, 100, 799, 800, 5000])
def test_an_overview_fits_its_limit(max_px: int) -> None:
    result = overview_within(PYRAMID, max_px)
    assert max(result.rgb.shape[:2]) <= max_px
    assert result.factor >= 1


def test_a_pixel_is_the_mean_of_those_it_covers() -> None:
    result = overview_at_most(MemorySlide([IMAGE]), 10)
    expected = IMAGE[120:130, 340:350].reshape(-1, 3).mean(axis=0)
    assert np.abs(result.rgb[12, 34] - expected).max() <= 0.51


def test_parts_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = MemorySlide([IMAGE])
    in_one = np.asarray(Image.fromarray(IMAGE).reduce(7))
    np.testing.assert_array_equal(overview_at_most(slide, 7).rgb, in_one)
    monkeypatch.setattr(overview, "_BLOCK_PX", 30)
    monkeypatch.setattr(overview, "_PART_PX", 110)
    slide.widest_read = 0
    np.testing.assert_array_equal(overview_at_most(slide, 7).rgb, in_one)
    assert slide.widest_read == 105


class Noted(MemorySlide):
    """A slide that notes what is read of it."""

    def __init__(self, levels: list[RgbImage]) -> None:
        super().__init__(levels)
        self.read: list[Box] = []

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Note the box."""
        self.read.append(box_lv)
        return super().read_lv(level, box_lv)


def test_a_slide_without_levels_is_read_once_and_by_whole_native_tiles() -> None:
    slide = Noted([np.zeros((5000, 7000, 3), dtype=np.uint8)])
    overview_at_most(slide, 32)
    assert sum(box.width * box.height for box in slide.read) == 5000 * 7000
    assert all(box.x % 512 == box.y % 512 == 0 for box in slide.read)
    assert max(box.width * box.height for box in slide.read) <= 1024**2


class Torn(MemorySlide):
    """A slide of which nothing can be decoded that meets some boxes."""

    torn: tuple[Box, ...] = (Box(x=600, y=100, width=20, height=20),)

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Fail where the box meets a torn one."""
        for box in self.torn:
            if (met := box.clipped(box_lv)).width and met.height:
                raise BadSlideError("unreadable_region", "it cannot be decoded", "Upload the file again.")
        return super().read_lv(level, box_lv)


@pytest.mark.parametrize("factor", [1, 7, 10])
def test_a_torn_place_costs_its_block_and_is_told(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_BLOCK_PX", 64)
    whole, torn = overview_at_most(MemorySlide([IMAGE]), factor), overview_at_most(Torn([IMAGE]), factor)
    (lost,) = torn.unreadable
    inside = (slice(lost.y, lost.y_end), slice(lost.x, lost.x_end))
    assert (torn.rgb[inside] == 255).all()
    left = np.ones(whole.rgb.shape[:2], dtype=np.bool_)
    left[inside] = False
    np.testing.assert_array_equal(torn.rgb[left], whole.rgb[left])
    assert 20 // factor <= lost.width <= -(-70 // factor) + 1
    assert lost.holds_mean(610 // factor, 110 // factor, 1)


def test_an_overview_without_any_pixel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Torn, "torn", (Box(x=0, y=0, width=800, height=530),))
    with pytest.raises(BadSlideError, match="unreadable_region"):
        overview_at_most(Torn([IMAGE]), 8)


def test_a_finer_level_stands_in_for_one_that_cannot_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = pyramid(IMAGE, (1, 4, 16))
    monkeypatch.setattr(Torn, "read_lv", _without_the_coarsest)
    assert overview_at_most(Torn(levels), 16).factor == 16
    np.testing.assert_allclose(overview_at_most(Torn(levels), 16).rgb, levels[2], atol=2)


def _without_the_coarsest(slide: Torn, level: int, box_lv: Box) -> RgbImage:
    if level == 2:
        raise BadSlideError("unreadable_region", "it cannot be decoded", "Upload the file again.")
    return MemorySlide.read_lv(slide, level, box_lv)
