from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from db.records import CellClass
from tests.support.slide_files import MemorySlide, pyramid, texture
from worker.drawing.smear import SmearSpec, draw_smear
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.overview import Overview, reduced_box
from worker.slides.reader import LocalReader
from worker.slides.slide import RgbImage
from worker.slides.smear import recognise, red_cell_scale, survey
from worker.slides.smear.shared_overview import SharedOverviews
from worker.slides.smear.survey import Told

SIDE = 2304


class Noted(MemorySlide):
    """A slide that notes how often each of its level-0 px is read."""

    def __init__(self, levels: list[RgbImage]) -> None:
        super().__init__(levels)
        self.times = np.zeros(levels[0].shape[:2], dtype=int)
        self.torn: Box | None = None

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Note the box; fail where it meets the torn one."""
        if level == 0:
            self.times[box_lv.y : box_lv.y_end, box_lv.x : box_lv.x_end] += 1
        met = self.torn and box_lv.clipped(self.torn)
        if met and met.width and met.height:
            raise BadSlideError("unreadable_region", "bad data", "Upload the file again.")
        return super().read_lv(level, box_lv)


@cache
def drawn() -> RgbImage:
    side = SIDE // 4
    composition = {CellClass.NEUTROPHIL: 4, CellClass.LYMPHOBLAST: 4}
    one = draw_smear(SmearSpec(width_px=side, height_px=side, seed=4, composition=composition)).rgb
    return np.tile(one, (4, 4, 1))


@pytest.mark.parametrize("stated", [True, False])
def test_a_slide_without_a_pyramid_is_read_for_one_overview_less(
    monkeypatch: pytest.MonkeyPatch, *, stated: bool
) -> None:
    # As on a slide of 37,000 px: its overview has a little more px a side than the stain map.
    monkeypatch.setattr(recognise, "OVERVIEW_PX", 128)
    monkeypatch.setattr(red_cell_scale, "_OVERVIEW_PX", 128)
    monkeypatch.setattr(red_cell_scale, "_WHOLE_PX", 1024)
    monkeypatch.setattr(red_cell_scale, "_FIELD_PX", 256)
    slide = Noted([drawn()])
    slide.info = replace(slide.info, mpp_um=0.25 if stated else None)
    found = survey.survey(LocalReader(slide), Told(), 0.25)
    # Once for the stain map and once for the quality of its squares; fields are few.
    assert np.median(slide.times) == (2 if stated else 3)
    assert found.readable.share == 1.0


@pytest.mark.parametrize(("max_px", "factor"), [(100, 24), (96, 24), (95, 32), (500, 8), (288, 8), (576, 8)])
def test_an_overview_of_fewer_px_is_a_reduction_of_the_one_kept(max_px: int, factor: int) -> None:
    rgb = texture(SIDE, SIDE // 2)
    slide = Noted([rgb])
    shared = SharedOverviews(LocalReader(slide), factor=8)
    small = shared.overview_within(max_px)
    assert small.factor == factor
    assert max(small.rgb.shape[:2]) <= max_px
    expected = LocalReader(MemorySlide([rgb])).overview(factor).rgb
    assert np.abs(small.rgb.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(shared.overview(8).rgb, LocalReader(MemorySlide([rgb])).overview(8).rgb)
    assert slide.times.max() == 1


def test_the_overview_is_read_by_itself_where_the_other_is_too_small_or_of_another_level() -> None:
    rgb = texture(SIDE, SIDE // 2)
    for slide, max_px, factor in ((Noted([rgb]), 1000, 3), (Noted(pyramid(rgb, (1, 4))), 1000, 3)):
        shared = SharedOverviews(LocalReader(slide), factor=8)
        assert shared.overview_within(max_px).factor == factor
        assert shared.overview_within(max_px).factor == factor
        assert slide.times.max() == 1
        assert shared.overview(8).factor == 8


def test_what_is_torn_is_torn_in_the_reduction_too() -> None:
    slide = Noted([texture(SIDE, SIDE)])
    slide.torn = Box(x=1100, y=600, width=10, height=10)
    shared = SharedOverviews(LocalReader(slide), factor=8)
    (small,), (whole,) = shared.overview_within(100).unreadable, shared.overview(8).unreadable
    assert small == reduced_box(whole, 3)


def test_the_overview_that_was_kept_is_let_go_of() -> None:
    shared = SharedOverviews(LocalReader(MemorySlide([texture(600, 600)])), factor=8)
    shared.overview_within(40)
    first: Overview = shared.overview(8)
    assert shared.overview(8) is not first
