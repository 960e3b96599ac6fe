from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.slides.slide import Rgb, RgbImage
from worker.slides.smear.absorbance import densities, glass_colour

colours = st.tuples(*(st.integers(130, 250),) * 3)


def flat(colour: Rgb, share: float = 1.0, other: Rgb = (120, 60, 140)) -> RgbImage:
    """Return 100 x 100 px, a share of them in one colour and the rest in another."""
    rgb = np.full((100, 100, 3), other, dtype=np.uint8)
    rgb[: round(100 * share)] = colour
    return rgb


@given(colours)
def test_glass_is_the_brightest_colour_that_many_pixels_share(colour: Rgb) -> None:
    assert glass_colour(flat(colour, share=0.3)) == colour


def test_a_few_bright_specks_are_not_glass() -> None:
    assert glass_colour(flat((255, 255, 255), share=0.02, other=(200, 190, 180))) == (200, 190, 180)


def test_a_picture_without_glass_has_its_brightest_pixels_instead() -> None:
    assert glass_colour(flat((90, 70, 90), share=0.03, other=(60, 20, 60))) == (90, 70, 90)


def test_densities_of_two_layers_add_up() -> None:
    glass = (240, 230, 220)
    one = np.exp(-np.array([0.2, 0.4, 0.1])) * (np.array(glass) + 1)
    two = np.exp(-2 * np.array([0.2, 0.4, 0.1])) * (np.array(glass) + 1)
    rgb = np.round(np.array([[glass, one - 1, two - 1]])).astype(np.uint8)
    assert densities(rgb, glass)[0] == pytest.approx(np.array([[0, 0, 0], [0.2, 0.4, 0.1], [0.4, 0.8, 0.2]]), abs=0.01)


def test_light_brighter_than_glass_is_glass() -> None:
    assert densities(flat((255, 255, 255)), (240, 240, 240)).max() == 0.0
