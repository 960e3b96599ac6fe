from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from db.records import Area
from tests.support.slide_files import info_of, plane_of
from worker.geometry import Box
from worker.slides.smear.areas import MOST_AREAS, areas, countable_mm2, shares
from worker.slides.smear.readable import Readable

grids = st_np.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 6))
SQUARE_MM2 = 0.016**2  # 64 px of 0.25 µm a side


def readable_of(text: str) -> Readable:
    """Return squares from lines of digits, a reason each."""
    return Readable(reasons=np.array([[int(digit) for digit in line] for line in text.split()], dtype=np.uint8))


def box_of(area: Area) -> Box:
    return Box(x=area.x_l0, y=area.y_l0, width=area.width_l0, height=area.height_l0)


def test_areas_are_boxes_of_connected_squares_the_largest_first() -> None:
    plane = plane_of(info_of(6 * 64, 3 * 64 - 10), 64)
    first, second = areas(readable_of("011100 101100 111111"), plane)
    assert (first.x_l0, first.y_l0, first.width_l0, first.height_l0) == (256, 0, 128, 128)
    assert (second.x_l0, second.y_l0, second.width_l0, second.height_l0) == (
        0,
        0,
        128,
        128,
    )  # its squares touch at a corner
    assert first.mm2 == pytest.approx(4 * SQUARE_MM2)
    assert second.mm2 == pytest.approx(2 * SQUARE_MM2)


@given(grids)
def test_areas_hold_all_that_is_counted_and_lie_inside_the_slide(reasons: np.ndarray) -> None:
    rows, columns = reasons.shape
    plane = plane_of(info_of(columns * 64 - 7, rows * 64 - 3), 64)
    readable = Readable(reasons=reasons)
    found = areas(readable, plane)
    assert sum(area.mm2 for area in found) == pytest.approx(countable_mm2(readable, plane))
    slide = Box(x=0, y=0, width=columns * 64 - 7, height=rows * 64 - 3)
    assert all(box_of(area).clipped(slide) == box_of(area) and area.width_l0 > 0 for area in found)
    assert [area.mm2 for area in found] == sorted((area.mm2 for area in found), reverse=True)


@given(grids)
def test_shares_name_every_reason_and_make_up_the_slide(reasons: np.ndarray) -> None:
    named = shares(Readable(reasons=reasons))
    assert list(named) == ["countable", "glass", "ink", "bubble", "blurred", "crowded", "too_thin"]
    assert sum(named.values()) == pytest.approx(1.0)
    assert named["countable"] == pytest.approx((reasons == 0).mean())


def test_no_more_than_the_largest_areas_are_listed() -> None:
    reasons = np.ones((2 * MOST_AREAS, 3), dtype=np.uint8)
    reasons[::2, 1] = 0
    reasons[7, 1] = 0  # joins two
    plane = plane_of(info_of(3 * 64, 2 * MOST_AREAS * 64), 64)
    found = areas(Readable(reasons=reasons), plane)
    assert len(found) <= MOST_AREAS
    assert found[0].mm2 == pytest.approx(3 * SQUARE_MM2)
