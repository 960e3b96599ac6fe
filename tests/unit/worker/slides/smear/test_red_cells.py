from __future__ import annotations

import numpy as np
import pytest

from tests.support.painted import CHROMATIN, GLASS, RED_CELL, field
from worker.slides.smear.red_cells import look_at


@pytest.mark.parametrize("radius", [5.5, 9, 14, 30, 60, 120])
def test_a_single_red_cell_is_measured_at_any_size(radius: float) -> None:
    side = int(6 * radius) + 60
    (blob,) = look_at(field(side, side, [(side / 2, side / 2 + 3, radius, RED_CELL)])).blobs
    assert blob.diameter_l0 == pytest.approx(2 * radius + 1, rel=0.05)
    assert (blob.x_l0, blob.y_l0) == pytest.approx((side / 2, side / 2 + 3), abs=0.1 * radius + 1)
    assert blob.elongation < 1.1


def test_a_pale_middle_belongs_to_the_cell() -> None:
    (blob,) = look_at(field(120, 120, [(60, 60, 15, RED_CELL), (60, 60, 6, GLASS)])).blobs
    assert blob.diameter_l0 == pytest.approx(31, rel=0.05)


def test_nuclei_clumps_and_what_is_cut_off_are_left_out() -> None:
    nucleus = [(60.0, 60.0, 15.0, CHROMATIN), (200.0, 110.0, 15.0, RED_CELL), (200.0, 110.0, 6.0, CHROMATIN)]
    clump = [(160.0, 60.0, 15.0, RED_CELL), (182.0, 70.0, 15.0, RED_CELL)]
    cut_off = [(60.0, 2.0, 15.0, RED_CELL)]
    found = look_at(field(240, 140, [*nucleus, *clump, *cut_off]))
    assert found.blobs == ()
    assert found.stained_px > 3 * 700


def test_a_squeezed_picture_has_upright_blobs() -> None:
    rgb = field(200, 100, [(100, 50, 24, RED_CELL)])
    (blob,) = look_at(np.ascontiguousarray(rgb[:, ::2])).blobs
    assert blob.elongation == pytest.approx(2.0, rel=0.15)
    assert blob.upright == pytest.approx(np.log(2), abs=0.15)


@pytest.mark.parametrize("size", [(3, 3), (1, 700), (40, 9)])
def test_a_picture_too_small_for_any_cell_holds_none(size: tuple[int, int]) -> None:
    assert look_at(np.full((*size, 3), 128, np.uint8)).blobs == ()
