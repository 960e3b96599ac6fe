from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import atan2
from typing import TypeAlias

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.cells.polygons import Contour, around, is_simple, mended, way_round

Place: TypeAlias = tuple[int, int]
Side: TypeAlias = tuple[Place, Place]
FEW = st.tuples(st.integers(-4, 4), st.integers(-4, 4))
PLACES = st.tuples(st.integers(-30, 30), st.integers(-30, 30))


def polygon(*corners: tuple[int, int]) -> Contour:
    return np.array(corners, np.int32)


def area(corners: Contour) -> float:
    x, y = corners.astype(np.float64).T
    return float(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2)


def sides_meet(corners: Contour) -> bool:
    """Whether two sides have more in common than the corner of neighbours: by where on each they would meet."""
    ends = [(int(x), int(y)) for x, y in corners]
    sides = list(zip(ends, [*ends[1:], ends[0]], strict=True))
    if any(start == end for start, end in sides):
        return True
    last = len(sides) - 1
    return any(
        run_back(one, other) if j == i + 1 else run_back(other, one) if (i, j) == (0, last) else meet(one, other)
        for (i, one), (j, other) in combinations(enumerate(sides), 2)
    )


def meet(one: Side, other: Side) -> bool:
    (a, b), (c, d) = one, other
    side, across, between = minus(b, a), minus(d, c), minus(c, a)
    if turn := cross(side, across):
        on_one, on_other = Fraction(cross(between, across), turn), Fraction(cross(between, side), turn)
        return 0 <= on_one <= 1 and 0 <= on_other <= 1
    return cross(between, side) == 0 and max(min(a, b), min(c, d)) <= min(max(a, b), max(c, d))


def run_back(one: Side, after: Side) -> bool:
    side, on = minus(one[1], one[0]), minus(after[1], after[0])
    return cross(side, on) == 0 and side[0] * on[0] + side[1] * on[1] < 0


def minus(a: Place, b: Place) -> Place:
    return a[0] - b[0], a[1] - b[1]


def cross(a: Place, b: Place) -> int:
    return a[0] * b[1] - a[1] * b[0]


def test_sides_that_only_lie_on_one_line_do_not_meet() -> None:
    step = polygon((0, 0), (4, 0), (4, 2), (6, 2), (6, 0), (10, 0), (10, 6), (0, 6))  # two sides on the line y = 0
    assert is_simple(step)
    found = mended(step)
    assert found is not None
    assert found.tolist() == step.tolist()


def test_sides_that_cross_touch_or_run_back_are_seen() -> None:
    assert not is_simple(polygon((0, 0), (10, 10), (10, 0), (0, 10)))
    assert not is_simple(polygon((0, 0), (10, 0), (10, 10), (5, 0), (0, 10)))
    assert not is_simple(polygon((0, 0), (10, 0), (10, 10), (10, 0), (0, 10)))
    assert not is_simple(polygon((0, 0), (10, 0)))


def test_of_two_wings_the_larger_is_kept() -> None:
    found = mended(polygon((0, 0), (40, 40), (40, 0), (10, 30)))
    assert found is not None
    assert found.min(axis=0)[0] >= 18
    assert 0.7 * 400 <= area(found) <= 1.1 * 400


def test_a_corner_said_twice_is_said_once() -> None:
    found = mended(polygon((0, 0), (0, 0), (8, 0), (8, 8), (8, 8), (0, 8)))
    assert found is not None
    assert found.tolist() == [[0, 0], [8, 0], [8, 8], [0, 8]]


def test_what_encloses_nothing_has_no_polygon() -> None:
    assert mended(polygon((3, 3), (3, 3), (3, 3))) is None
    assert mended(polygon((0, 0), (5, 5), (9, 9))) is None
    assert mended(polygon((0, 0), (9, 9), (0, 10_000), (9, 0))) is None


@given(st.lists(PLACES, min_size=3, max_size=9))
def test_a_mended_polygon_is_valid_and_lies_within_what_was_given(corners: list[tuple[int, int]]) -> None:
    given_corners = polygon(*corners)
    found = mended(given_corners)
    if found is None:
        return
    assert not sides_meet(found)
    assert area(found) > 0
    assert (found.min(axis=0) >= given_corners.min(axis=0)).all()
    assert (found.max(axis=0) <= given_corners.max(axis=0)).all()


@given(st.lists(FEW, min_size=3, max_size=9))
def test_just_those_polygons_are_simple_whose_sides_do_not_meet(corners: list[tuple[int, int]]) -> None:
    assert is_simple(polygon(*corners)) == (not sides_meet(polygon(*corners)))


@given(st.lists(FEW, min_size=1, max_size=9), st.booleans())
def test_what_goes_once_round_is_simple_and_its_way_is_known(corners: list[Place], sorted_by_angle: bool) -> None:
    if sorted_by_angle:
        corners = sorted(set(corners), key=lambda at: atan2(at[1], at[0]))
    if way := way_round(corners):
        assert is_simple(polygon(*corners))
        after = [*corners[1:], corners[0]]
        assert way * sum(cross(one, other) for one, other in zip(corners, after, strict=True)) > 0


def test_a_polygon_that_goes_twice_round_does_not_go_once_round() -> None:
    star = [(0, -50), (29, 40), (-47, -15), (47, -15), (-29, 40)]  # a pentagram
    assert way_round(star) == 0
    assert way_round([star[i] for i in (0, 3, 1, 4, 2)]) == 1
    assert way_round([star[i] for i in (2, 4, 1, 3, 0)]) == -1


def test_a_bitmap_with_a_spur_gives_its_body() -> None:
    bitmap = np.zeros((40, 40), np.uint8)
    bitmap[10:30, 10:30] = 1
    bitmap[20, 30:38] = 1
    assert around(bitmap).max() == 29
