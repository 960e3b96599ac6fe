from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import BadRequestError
from worker.training.pseudo_patients.sheet import Layout, Pixels, lay_out

GLASS = 240
EDGE_PX = 3


def picture(number: int, height: int, width: int) -> Pixels:
    """A picture of glass with a stripe of two px, and a patch that tells its number."""
    made = np.full((height, width, 3), GLASS, np.uint8)
    made[:, width // 2] = 30
    made[height // 2 - 2 : height // 2 + 2, 8:14] = (10 + number, 0, 0)
    return made


def numbers(sheet: Pixels) -> list[int]:
    patches = (sheet[..., 1] == 0) & (sheet[..., 2] == 0)
    values, counts = np.unique(sheet[..., 0][patches], return_counts=True)
    assert set(counts) <= {4 * 6}, "a patch lies under another picture, or was scaled"
    return [int(value) - 10 for value in values]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(30, 60), st.integers(40, 70)), min_size=1, max_size=12), st.integers(0, 3))
def test_every_picture_lies_on_the_sheet_once_at_its_own_scale(sizes: list[tuple[int, int]], seed: int) -> None:
    sheet = lay_out([picture(n, *size) for n, size in enumerate(sizes)], Layout(mpp_um=0.5), seed)
    assert numbers(sheet) == list(range(len(sizes)))


def test_a_picture_fades_into_the_glass_and_its_inside_is_untouched() -> None:
    dark = np.full((40, 40, 3), 90, np.uint8)
    bright = np.full((40, 40, 3), GLASS, np.uint8)
    sheet = lay_out([dark, bright, bright], Layout(mpp_um=0.5), seed=1)
    rows, columns = np.nonzero(sheet[..., 0] == 90)
    assert [int(np.ptp(one)) + 1 for one in (rows, columns)] == [40 - 2 * EDGE_PX] * 2
    assert (sheet[[0, -1]] == GLASS).all()
    across = sheet[int(rows.mean()), :, 0].astype(int)
    assert np.abs(np.diff(across)).max() <= (GLASS - 90) / 2 + 1


def test_of_a_disc_only_the_middle_shows() -> None:
    marked = np.full((80, 80, 3), 120, np.uint8)
    marked[:10] = 0  # a neighbour of the cell in the middle
    sheet = lay_out([marked] * 4, Layout(mpp_um=0.5, disc_um=10.0), seed=1)
    assert (sheet > 0).all()
    assert int((sheet[..., 0] == 120).sum()) > 4 * 3 * 17**2


def test_the_seed_alone_decides_the_order() -> None:
    pictures = [picture(n, 40, 50) for n in range(9)]
    first, again, other = (lay_out(pictures, Layout(mpp_um=0.5), seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_no_picture_makes_no_sheet() -> None:
    with pytest.raises(BadRequestError, match="a picture at least"):
        lay_out([], Layout(mpp_um=0.5), seed=1)
