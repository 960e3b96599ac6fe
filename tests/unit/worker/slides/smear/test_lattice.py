from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slide_files import info_of, plane_of
from worker.slides.smear.lattice import shape_of, shares, starts


@settings(max_examples=60)
@given(st.integers(40, 700), st.integers(40, 700), st.integers(16, 400), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_px_belongs_to_the_square_that_holds_its_centre(
    width: int, height: int, steps: int, factor: int, seed: int
) -> None:
    plane = plane_of(info_of(width, height), steps)
    rows, columns = shape_of(plane)
    mask = np.random.default_rng(seed).random((-(-height // factor), -(-width // factor))) < 0.5
    of_row = ((np.arange(mask.shape[0]) + 0.5) * factor // steps).astype(int)
    of_column = ((np.arange(mask.shape[1]) + 0.5) * factor // steps).astype(int)
    got = shares(mask, plane, factor)
    assert got.shape == (rows, columns)
    # Squares at the end take px whose centre lies beyond the slide, or the last px where they hold no centre.
    inner_rows = [row for row in range(rows - 1) if {row, row + 1} <= set(of_row)]
    inner_columns = [column for column in range(columns - 1) if {column, column + 1} <= set(of_column)]
    for row, column in product(inner_rows, inner_columns):
        expected = mask[of_row == row][:, of_column == column]
        assert got[row, column] == np.float32(expected.mean())


@given(st.integers(40, 900), st.integers(16, 400), st.integers(1, 8))
def test_starts_rise_and_lie_inside(length: int, steps: int, factor: int) -> None:
    plane = plane_of(info_of(length, length), steps)
    rows, _ = shape_of(plane)
    length_px = -(-length // factor)
    first = starts(plane, factor, length_px, rows)
    assert first[0] == 0
    assert (np.diff(first) >= 0).all()
    assert first[-1] < length_px
