from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.cells.redraw import redrawn

Mask = NDArray[np.bool_]


def disc(shape: tuple[int, int], x: float, y: float, radius: float) -> Mask:
    """Return the pixels whose middles lie in a disc; the middle of the first pixel is at (0.5, 0.5)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.asarray(np.hypot(columns - x, rows - y) < radius)


def soft(mask: Mask) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.uint8) * 255, (0, 0), 1.0), np.uint8)


def iou(a: Mask, b: Mask) -> float:
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


def test_at_the_same_scale_masks_stay_as_they_are() -> None:
    mask = np.random.default_rng(1).random((40, 30)) < 0.5
    values = np.random.default_rng(2).integers(0, 256, (60, 50), dtype=np.uint8)
    expected = np.zeros((60, 50), np.int32)
    expected[5:45, 7:37][mask] = 1
    assert np.array_equal(redrawn([(7, 5, mask)], values, (60, 50)), expected)


@pytest.mark.parametrize("factor", [0.6, 1.5, 3.0, 3.4])
def test_outlines_are_smooth_and_in_place_at_other_scales(factor: float) -> None:
    work = disc((60, 80), 30.2, 28.7, 14)
    size = round(60 * factor), round(80 * factor)
    true = disc(size, 30.2 * size[1] / 80, 28.7 * size[0] / 60, 14 * factor)
    drawn = redrawn([(0, 0, work)], soft(work), size) == 1
    nearest = cv2.resize(work.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert iou(drawn, true) > 0.95
    assert iou(drawn, true) >= iou(nearest, true)


def test_touching_cells_share_their_border_midway() -> None:
    both = np.ones((20, 40), bool)
    labels = redrawn([(5, 5, both[:10, :15]), (20, 5, both[:10, :15])], soft(both), (80, 160))
    assert np.array_equal(np.unique(labels[40, 24:136]), [1, 2])
    assert np.flatnonzero(np.diff(labels[40, 24:136])) + 24 == 79


def test_a_mask_at_the_edge_reaches_the_edge_of_the_picture() -> None:
    whole = np.ones((20, 30), bool)
    assert (redrawn([(0, 0, whole)], soft(whole), (67, 100)) == 1).all()


def test_what_is_smaller_than_a_pixel_of_the_picture_may_vanish() -> None:
    assert not redrawn([(1, 1, np.ones((1, 1), bool))], np.full((64, 64), 255, np.uint8), (4, 4)).any()
