from __future__ import annotations

import json
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from tests.support.slide_files import GLASS, MemorySlide, plane_of, pyramid
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.plain_field import PlainField
from worker.slides.reader import LocalReader
from worker.slides.slide import RgbImage
from worker.slides.smear.countable import Reason, Reasons
from worker.slides.smear.readable import Readable, readable_squares
from worker.slides.smear.stained import stain_threshold

RED_CELL, NUCLEUS, INK = (214, 168, 160), (92, 58, 128), (12, 10, 20)
grids = st_np.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 6))


def glass(height: int, width: int) -> RgbImage:
    rng = np.random.default_rng(3)
    noise = rng.integers(-4, 5, (height, width, 1))
    return np.clip(np.asarray(GLASS) + noise, 0, 255).astype(np.uint8)


def disc(image: RgbImage, x: int, y: int, radius_px: int, colour: tuple[int, int, int]) -> None:
    cv2.circle(image, (x, y), radius_px, colour, -1, cv2.LINE_AA)


def squares_of(image: RgbImage, *, downsamples: tuple[int, ...] = (1, 2, 4, 8, 16)) -> Readable:
    slide = MemorySlide(pyramid(image, downsamples))
    return readable_squares(LocalReader(slide), plane_of(slide.info, 64))


@cache
def smear() -> RgbImage:
    """Return glass with red cells at the left and one stroke of ink."""
    image = glass(2048, 2304)
    for column in range(8, 800, 33):
        for row in range(8, 2048, 33):
            disc(image, column, row, 14, RED_CELL)
    cv2.rectangle(image, (2100, 200), (2200, 600), INK, -1)
    return image


def smear_with(x: int, y: int) -> RgbImage:
    """Return the smear with a small lymphocyte at (x, y)."""
    image = smear().copy()
    disc(image, x, y, 14, NUCLEUS)  # 7 µm
    return image


@settings(max_examples=12, deadline=None)
@given(st.integers(20, 2000), st.integers(20, 2020))
def test_a_lone_small_cell_is_in_a_readable_square_wherever_it_lies(x: int, y: int) -> None:
    assert squares_of(smear_with(x, y)).holds(x, y)


def test_bare_glass_is_not_read() -> None:
    readable = squares_of(smear_with(1500, 1500))
    assert readable.holds(400, 400)  # red cells
    assert not readable.holds(1200, 300)
    assert not readable.holds(1500, 1200)
    assert 0.3 < readable.share < 0.7


def test_an_empty_slide_has_nothing_to_read() -> None:
    assert squares_of(glass(2048, 2048)).share == 0.0


def test_a_field_full_of_cells_is_read_throughout() -> None:
    image = np.full((2048, 2048, 3), RED_CELL, dtype=np.uint8)
    for column in range(40, 2048, 97):
        for row in range(40, 2048, 97):
            disc(image, column, row, 20, NUCLEUS)
    readable = squares_of(image)
    assert readable.share == 1.0


def test_a_slide_without_pyramid_gives_the_same_squares() -> None:
    image = smear_with(1300, 900)
    assert squares_of(image, downsamples=(1,)).to_json() == squares_of(image).to_json()


@pytest.mark.parametrize("steps", [17, 40, 64, 97, 391])
def test_squares_cover_planes_of_any_scale(steps: int) -> None:
    image = glass(2100, 2100)
    disc(image, 1571, 333, 30, NUCLEUS)
    slide = MemorySlide([image])
    plane = plane_of(slide.info, steps)
    readable = readable_squares(LocalReader(slide), plane)
    assert readable.squares.shape == (-(-plane.height_work // 64), -(-plane.width_work // 64))
    assert readable.holds(1571 / plane.factor, 333 / plane.factor)


def test_a_field_that_somebody_photographed_is_read_throughout() -> None:
    field = PlainField(glass(2100, 2100))
    assert readable_squares(LocalReader(field), plane_of(field.info, 64)).share == 1.0
    small = MemorySlide([glass(500, 500)])
    assert readable_squares(LocalReader(small), plane_of(small.info, 64)).share == 1.0


def test_ink_does_not_hide_pale_stain() -> None:
    brightness = np.repeat(np.array([10, 170, 232], dtype=np.uint8), (300_000, 1000, 699_000)).reshape(1000, -1)
    assert 170 <= stain_threshold(np.stack([brightness, brightness, brightness + 9], axis=2)) < 232


@settings(deadline=None)
@given(grids)
def test_reasons_survive_json(reasons: Reasons) -> None:
    document = json.loads(json.dumps(Readable(reasons=reasons).to_json()))
    np.testing.assert_array_equal(Readable.from_json(document).reasons, reasons)


def test_json_that_does_not_fill_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Readable.from_json({"rows": 2, "columns": 2, "runs": [1, 2], "reasons": [0, 1]})


@settings(deadline=None)
@given(grids, st.integers(-200, 700), st.integers(-200, 700), st.integers(1, 400), st.integers(1, 400))
def test_a_box_meets_a_readable_square_as_its_pixels_do(
    reasons: Reasons, x: int, y: int, width: int, height: int
) -> None:
    readable = Readable(reasons=reasons)
    box = Box(x=x, y=y, width=width, height=height)
    any_px = any(
        readable.holds(px, py)
        for px in {*range(x, x + width, 64), x + width - 1}
        for py in {*range(y, y + height, 64), y + height - 1}
    )
    assert readable.any_in(box) == any_px


def test_a_centroid_on_a_squares_border_belongs_to_the_next_square() -> None:
    readable = Readable(reasons=np.array([[Reason.COUNTABLE, Reason.INK]], dtype=np.uint8))
    assert readable.holds_mean(64 * 7 - 1, 0, 7)
    assert not readable.holds_mean(64 * 7, 0, 7)
    assert not readable.holds_mean(-1, 0, 7)


class Torn(MemorySlide):
    """A slide that cannot be decoded at one place of its glass, on any level."""

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Fail where the box holds the place."""
        factor = int(self.info.level_downsamples[level])
        if box_lv.holds_mean(1500 // factor, 1300 // factor, 1):
            raise BadSlideError("unreadable_region", "bad data", "Upload the file again.")
        return super().read_lv(level, box_lv)


@pytest.mark.parametrize("downsamples", [(1,), (1, 4, 16)])
def test_what_cannot_be_decoded_is_not_taken_for_glass(downsamples: tuple[int, ...]) -> None:
    slide = Torn(pyramid(smear(), downsamples))
    plane = plane_of(slide.info, 64)
    assert not squares_of(smear(), downsamples=downsamples).holds(1500, 1300)
    assert readable_squares(LocalReader(slide), plane).holds(1500, 1300)


def test_what_cannot_be_decoded_does_not_change_how_the_rest_is_judged() -> None:
    slide = Torn(pyramid(smear(), (1,)))
    whole, torn = squares_of(smear(), downsamples=(1,)), readable_squares(LocalReader(slide), plane_of(slide.info, 64))
    far = np.ones(whole.reasons.shape, dtype=np.bool_)
    far[14:27, 14:27] = False  # the block that was given up, and about it
    np.testing.assert_array_equal(torn.reasons[far], whole.reasons[far])
