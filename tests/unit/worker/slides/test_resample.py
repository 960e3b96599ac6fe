from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slide_files import MemorySlide, plane_of, pyramid, texture, write_slide
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.resample import level_for, read_tile
from worker.slides.slide import Rgb

BACKGROUND: Rgb = (231, 229, 223)
STEPS = (24, 33, 64, 65, 80, 97, 128, 129, 192, 300, 391)
IMAGE = texture(517, 803)
SLIDES = {
    "one level": MemorySlide([IMAGE]),
    "by twos": MemorySlide(pyramid(IMAGE, (1, 2, 4))),
    "by threes": MemorySlide(pyramid(IMAGE, (1, 3))),
}
boxes = st.builds(
    Box, x=st.integers(-90, 700), y=st.integers(-90, 500), width=st.integers(1, 160), height=st.integers(1, 160)
)


def ramp(height: int, width: int) -> MemorySlide:
    """Return a slide whose red grows with x and green with y, by half a step per level-0 px."""
    y, x = np.mgrid[:height, :width].astype(np.float64) / 2
    blue = np.full_like(x, 90)
    return MemorySlide([np.stack([x, y, blue], axis=2).round().astype(np.uint8)])


@settings(deadline=None)
@given(st.sampled_from(sorted(SLIDES)), st.sampled_from(STEPS), boxes, boxes)
def test_a_pixel_is_the_same_in_every_box(name: str, steps: int, one: Box, other: Box) -> None:
    slide = SLIDES[name]
    plane = plane_of(slide.info, steps)
    common = one.clipped(other)
    views = []
    for box in (one, other):
        tile = read_tile(slide, plane, box, BACKGROUND)
        assert tile.shape == (box.height, box.width, 3)
        x, y = common.x - box.x, common.y - box.y
        views.append(tile[y : y + common.height, x : x + common.width])
    if common.width and common.height:
        np.testing.assert_array_equal(views[0], views[1])


@settings(deadline=None)
@given(st.sampled_from(STEPS), st.integers(0, 150), st.integers(0, 100))
def test_a_pixel_of_a_large_box_equals_that_of_a_small_one(steps: int, x: int, y: int) -> None:
    plane = plane_of(SLIDES["by twos"].info, steps)
    small = Box(x=x, y=y, width=5, height=7)
    whole = WHOLE.setdefault(steps, read_tile(SLIDES["by twos"], plane, plane.box.grown(64), BACKGROUND))
    part = whole[64 + y : 64 + y + 7, 64 + x : 64 + x + 5]
    read = read_tile(SLIDES["by twos"], plane, small, BACKGROUND)
    np.testing.assert_array_equal(read[: part.shape[0], : part.shape[1]], part)


WHOLE: dict[int, np.ndarray] = {}


@pytest.mark.parametrize("steps", STEPS)
def test_pixels_lie_where_the_plane_says(steps: int) -> None:
    slide = ramp(400, 500)
    plane = plane_of(slide.info, steps)
    margin = -(-64 * 4 // steps) + 4  # away from the slide's rim
    box = plane.box.grown(-margin)
    tile = read_tile(slide, plane, box, BACKGROUND).astype(np.float64)
    expected_x = ((np.arange(box.x, box.x_end) + 0.5) * plane.factor - 0.5) / 2
    expected_y = ((np.arange(box.y, box.y_end) + 0.5) * plane.factor - 0.5) / 2
    assert np.abs(tile[..., 0] - expected_x).max() <= 1.0
    assert np.abs(tile[..., 1] - expected_y[:, None]).max() <= 1.0
    assert (tile[..., 2] == 90).all()


def test_a_box_wider_than_one_read_has_no_seam() -> None:
    slide = MemorySlide([texture(40, 9000)])
    plane = plane_of(slide.info, 100)
    wide = read_tile(slide, plane, plane.box, BACKGROUND)
    assert slide.widest_read <= 4096 + 16
    step = 4096 * 64 // 100
    for x in (step - 30, 2 * step - 30):
        across = Box(x=x, y=0, width=60, height=plane.height_work)
        np.testing.assert_array_equal(wide[:, x : x + 60], read_tile(slide, plane, across, BACKGROUND))


def test_a_factor_of_one_gives_the_stored_pixels() -> None:
    box = Box(x=100, y=50, width=300, height=200)
    tile = read_tile(SLIDES["one level"], plane_of(SLIDES["one level"].info, 64), box, BACKGROUND)
    np.testing.assert_array_equal(tile, IMAGE[50:250, 100:400])


def test_a_level_of_the_planes_own_scale_gives_its_stored_pixels() -> None:
    slide = SLIDES["by twos"]
    tile = read_tile(slide, plane_of(slide.info, 128), Box(x=7, y=9, width=50, height=40), BACKGROUND)
    np.testing.assert_array_equal(tile, slide.levels[1][9:49, 7:57])


@pytest.mark.parametrize("steps", [33, 64, 97])
def test_outside_the_slide_lies_the_background(steps: int) -> None:
    slide = SLIDES["one level"]
    plane = plane_of(slide.info, steps)
    for box in (Box(x=-200, y=0, width=100, height=50), Box(x=0, y=plane.height_work + 20, width=30, height=9)):
        assert (read_tile(slide, plane, box, BACKGROUND) == BACKGROUND).all()


@pytest.mark.parametrize(
    ("name", "steps", "level"),
    [
        ("by twos", 64, 0),
        ("by twos", 127, 0),
        ("by twos", 128, 1),
        ("by twos", 255, 1),
        ("by twos", 301, 2),
        ("by threes", 191, 0),
        ("by threes", 192, 1),
        ("by threes", 200, 0),  # a third of 200/64 px has no exact binary fraction
        ("by threes", 201, 1),
    ],
)
def test_the_coarsest_exact_level_is_read(name: str, steps: int, level: int) -> None:
    info = SLIDES[name].info
    assert level_for(info, plane_of(info, steps)) == level


@pytest.mark.parametrize("steps", [64, 100, 128, 300])
def test_openslide_gives_the_same_plane_in_every_box(tmp_path: Path, steps: int) -> None:
    levels = pyramid(texture(1013, 1501), (1, 2, 4))  # sides that no level divides
    source = open_slide_file(write_slide(tmp_path / "slide.tif", levels))
    plane = plane_of(source.info, steps)
    whole = read_tile(source, plane, plane.box.grown(32), BACKGROUND)
    for x, y in ((0, 0), (201, 77), (plane.width_work - 90, plane.height_work - 90)):
        tile = read_tile(source, plane, Box(x=x, y=y, width=110, height=110), BACKGROUND)
        np.testing.assert_array_equal(tile, whole[y + 32 : y + 142, x + 32 : x + 142])
    source.close()
