from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.cells.stain import background_of
from worker.glass import colour_at, glass_level
from worker.slides.smear.absorbance import glass_colour


def grey(*levels: tuple[int, int]) -> np.ndarray:
    """Return a picture of so many px of each level."""
    return np.concatenate([np.full((number, 1), level, dtype=np.uint8) for level, number in levels])


@given(st.integers(100, 255), st.integers(60, 255))
def test_the_brightest_level_that_many_px_share_is_glass(level: int, other: int) -> None:
    brighter = max(level, other)
    found = glass_level(grey((level, 90), (other, 60)), darkest=40, share=0.25)
    assert found is not None
    assert abs(found - brighter) <= (8 if abs(level - other) <= 16 else 4)


@pytest.mark.parametrize(("share", "expected"), [(0.1, 240), (0.25, 200)])
def test_a_rarer_level_is_glass_where_fewer_px_are_many(share: float, expected: int) -> None:
    found = glass_level(grey((200, 200), (240, 30)), darkest=40, share=share)
    assert found is not None
    assert abs(found - expected) <= 4


def test_what_is_darker_than_glass_can_be_is_none() -> None:
    assert glass_level(grey((60, 200)), darkest=100, share=0.1) is None


def test_a_colour_is_the_median_of_those_as_bright() -> None:
    rgb = np.array([[[10, 20, 30], [0, 20, 40], [11, 20, 29], [200, 200, 200]]], dtype=np.uint8)
    np.testing.assert_array_equal(colour_at(rgb, rgb.min(axis=2) + np.uint8(10), 20), [10.5, 20, 29.5])
    assert colour_at(rgb, rgb[..., 1], 100) is None
    assert colour_at(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), 0) == pytest.approx([1, 1, 1])


@settings(max_examples=30)
@given(st.tuples(*(st.integers(130, 250),) * 3))
def test_the_survey_and_the_fit_of_a_stain_mean_the_same_glass(colour: tuple[int, int, int]) -> None:
    rgb = np.full((60, 60, 3), (110, 50, 130), dtype=np.uint8)
    rgb[:30] = colour
    np.testing.assert_array_equal(glass_colour(rgb), background_of(rgb))
