from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.geometry import Box

sides = st.integers(0, 500)
places = st.integers(-500, 500)
boxes = st.builds(Box, x=places, y=places, width=sides, height=sides)


def test_a_box_ends_where_its_neighbour_begins() -> None:
    box = Box(x=64, y=-64, width=128, height=64)
    assert (box.x_end, box.y_end) == (192, 0)


@given(boxes, st.integers(0, 100))
def test_growing_moves_every_side_by_the_margin(box: Box, margin: int) -> None:
    grown = box.grown(margin)
    assert (box.x - grown.x, box.y - grown.y) == (margin, margin)
    assert (grown.x_end - box.x_end, grown.y_end - box.y_end) == (margin, margin)


@given(boxes, boxes)
def test_clipping_keeps_exactly_the_common_pixels(box: Box, to: Box) -> None:
    clipped = box.clipped(to)
    common = {
        "x": set(range(box.x, box.x_end)) & set(range(to.x, to.x_end)),
        "y": set(range(box.y, box.y_end)) & set(range(to.y, to.y_end)),
    }
    assert set(range(clipped.x, clipped.x_end)) == common["x"]
    assert set(range(clipped.y, clipped.y_end)) == common["y"]


@given(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000), st.integers(1, 400))
def test_a_mean_lies_in_exactly_one_of_four_neighbours(sum_x: int, sum_y: int, count: int) -> None:
    cut_x, cut_y = sum_x // count, sum_y // count  # the worst place for a border
    quarters = [Box(x=cut_x + dx, y=cut_y + dy, width=9, height=9) for dx in (-9, 0) for dy in (-9, 0)]
    assert sum(box.holds_mean(sum_x, sum_y, count) for box in quarters) == 1


def test_a_mean_just_below_the_far_side_is_inside_and_on_it_is_not() -> None:
    box = Box(x=0, y=0, width=64, height=64)
    assert box.holds_mean(64 * 3 - 1, 0, 3)
    assert not box.holds_mean(64 * 3, 0, 3)
    assert not box.holds_mean(0, -1, 3)
