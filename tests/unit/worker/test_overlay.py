from __future__ import annotations

import numpy as np
import pytest

from tests.support.slide_files import info_of, plane_of
from worker.errors import BadSlideError
from worker.outputs.overlay import COUNTED, REFUSED, areas_overlay, picture_of, refusal
from worker.outputs.panel import Entry, framed, lettered
from worker.outputs.survey import Surveyed
from worker.slides.overview import Overview
from worker.slides.smear.countable import Reason
from worker.slides.smear.readable import Readable
from worker.slides.smear.survey import Survey

OVERVIEW = Overview(rgb=np.full((800, 1200, 3), 230, np.uint8), factor=3)


def survey_of(reasons: np.ndarray) -> Survey:
    plane = plane_of(info_of(3600, 2400), 64)
    return Survey(plane=plane, readable=Readable(reasons=reasons))


def reasons(fill: Reason = Reason.COUNTABLE) -> np.ndarray:
    return np.full((38, 57), fill, dtype=np.uint8)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.COUNTABLE])
def test_a_square_left_out_is_tinted_where_it_lies(reason: Reason) -> None:
    squares = reasons()
    squares[10:14, 20:24] = reason
    picture = areas_overlay(OVERVIEW, survey_of(squares))
    assert (picture[12 * 21, 22 * 21] != 230).any()
    assert (picture[20 * 21, 22 * 21] == 230).all()


def test_what_is_counted_is_outlined() -> None:
    squares = reasons(Reason.GLASS)
    squares[10:14, 20:24] = Reason.COUNTABLE
    picture = areas_overlay(OVERVIEW, survey_of(squares))
    row = picture[12 * 21, :1200]
    marked = np.flatnonzero((row == COUNTED).all(axis=1))
    assert np.abs(marked.min() - 20 * 64 / 3) <= 3
    assert np.abs(marked.max() - 24 * 64 / 3) <= 3


def test_the_legend_names_only_what_there_is() -> None:
    few, many = reasons(), reasons()
    few[0, 0] = many[0, 0] = Reason.INK
    many[1, 1] = Reason.BLURRED
    assert has(areas_overlay(OVERVIEW, survey_of(many)), (240, 220, 0))
    assert not has(areas_overlay(OVERVIEW, survey_of(few)), (240, 220, 0))


def test_a_refusal_pales_the_picture_and_says_why() -> None:
    picture = refusal(OVERVIEW, BadSlideError("not_a_smear_histology", "it is a section " * 9, "Upload a smear."))
    assert has(picture[:, 1200:], REFUSED)
    assert picture[300, 450].min() > 230


def test_a_slide_is_drawn_as_it_was_found() -> None:
    refused = picture_of(Surveyed(overview=OVERVIEW, found=BadSlideError("empty_slide", "empty", "Scan it.")))
    counted = picture_of(Surveyed(overview=OVERVIEW, found=survey_of(reasons())))
    assert has(refused, REFUSED)
    assert not has(counted, REFUSED)


def test_small_overviews_are_enlarged() -> None:
    small = Overview(rgb=np.full((100, 150, 3), 230, np.uint8), factor=16)
    assert areas_overlay(small, survey_of(reasons())).shape[0] > 800


def test_every_picture_carries_the_notice_on_a_band_of_its_own() -> None:
    entries = [Entry(colour=COUNTED, label="counted", share=1.0)]
    picture = framed(OVERVIEW.rgb, title="T", entries=entries, notes=("n",), colour=COUNTED)
    band = picture[800:]
    assert len(band) == 44
    assert has(band, (255, 255, 255))
    assert (picture[:800, :1200] == OVERVIEW.rgb).all()


@pytest.mark.parametrize("length_px", [20, 333])
def test_a_scale_bar_is_as_long_as_it_says(length_px: int) -> None:
    picture = OVERVIEW.rgb.copy()
    lettered(picture, "100 micrometres", length_px)
    dark = (picture[775:779] < 80).all(axis=2).all(axis=0)
    assert np.count_nonzero(dark) == pytest.approx(length_px, abs=2)
