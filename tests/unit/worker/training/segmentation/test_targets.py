import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.training.segmentation.canvas import Canvas
from worker.training.segmentation.data import MPP_UM, UNKNOWN
from worker.training.segmentation.targets import DEEPEST_UM, depth_um, targets


def _discs(*centres: tuple[int, int], radius: int = 20, side: int = 120) -> NDArray[np.int32]:
    out = np.zeros((side, side), np.int32)
    for number, (x, y) in enumerate(centres, start=1):
        rows, columns = np.ogrid[:side, :side]
        out[(np.hypot(rows - y, columns - x) < radius) & (out == 0)] = number
    return out


def test_depth_is_the_distance_to_the_outline() -> None:
    depth = depth_um(_discs((60, 60)))
    assert abs(float(depth[60, 60]) - 20 * MPP_UM) < 0.3
    assert np.all(depth[_discs((60, 60)) == 0] == 0)


def test_two_cells_that_touch_have_a_valley_between_them() -> None:
    labels = _discs((41, 60), (79, 60))
    depth = depth_um(labels)
    assert depth[60, 41] > 3.0
    assert depth[60, 79] > 3.0
    assert depth[60, 56:65].min() < 0.5


@given(st.integers(3, 55))
@settings(max_examples=20, deadline=None)
def test_no_depth_is_beyond_the_deepest(radius: int) -> None:
    depth = depth_um(_discs((60, 60), radius=radius))
    assert 0 < depth.max() <= DEEPEST_UM


def test_what_is_not_known_has_no_part() -> None:
    labels = _discs((60, 60))
    cell = np.where(labels > 0, 1, 0).astype(np.int8)
    cell[:, 100:] = UNKNOWN
    cell[10:20, 10:20] = 1  # a cell whose extent is not known
    nucleus = np.full_like(cell, UNKNOWN)
    canvas = Canvas(rgb=np.zeros((120, 120, 3), np.uint8), cell=cell, nucleus=nucleus, instance=labels)
    found = targets(canvas)
    assert not found.known[0, :, 100:].any()
    assert not found.known[1].any()
    assert not found.known[2, 10:20, 10:20].any()
    assert found.known[2, 60, 60] == 1
    assert cv2.countNonZero(found.values[0]) == np.count_nonzero(cell == 1)
