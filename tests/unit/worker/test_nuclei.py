from __future__ import annotations

import numpy as np
import pytest

from tests.support.painted import BLUE_CYTOPLASM, CHROMATIN, MPP_UM, field, lymphocyte, red_cell
from worker.cells.channels import channels
from worker.cells.nuclei import disc, fill_holes, nucleus_mask
from worker.cells.stain import Pixels, fit_stain


def mask_of(image: Pixels) -> Pixels:
    fit = fit_stain(image, MPP_UM)
    return nucleus_mask(channels(image, fit), fit, MPP_UM)


def test_the_mask_holds_nuclei_and_no_red_cell() -> None:
    red = [d for x in range(40, 400, 60) for d in red_cell(x, 160)]
    mask = mask_of(field(400, 200, [*lymphocyte(60, 60), *lymphocyte(200, 60), *red]))
    assert np.count_nonzero(mask[:110]) == pytest.approx(2 * np.pi * 15**2, rel=0.1)
    assert not mask[110:].any()


def test_a_dark_nucleus_is_cut_at_half_height_and_a_pale_one_is_kept() -> None:
    pale = (150, 95, 180)
    red = [d for x in range(40, 400, 60) for d in red_cell(x, 160)]
    image = field(400, 200, [(60, 60, 22, (150, 112, 190)), (60, 60, 14, CHROMATIN), (250, 60, 15, pale), *red])
    mask = mask_of(image)
    assert np.pi * 13**2 < np.count_nonzero(mask[:, :120]) < np.pi * 17**2
    assert np.count_nonzero(mask[:, 120:]) == pytest.approx(np.pi * 15**2, rel=0.15)


def test_a_pale_spot_in_a_nucleus_belongs_to_it() -> None:
    spotted = [*lymphocyte(60, 60), (60, 60, 4, (170, 150, 205))]
    mask = mask_of(field(200, 120, [*spotted, *lymphocyte(140, 60)]))
    assert mask[60, 60]


def test_specks_vanish() -> None:
    specks = [(150, 50, 20, BLUE_CYTOPLASM), (150, 50, 1, CHROMATIN)]
    mask = mask_of(field(200, 100, [*lymphocyte(50, 50), *specks]))
    assert mask[:, :100].any()
    assert not mask[:, 100:].any()


def test_small_holes_are_filled_and_large_or_open_ones_are_not() -> None:
    ring = np.zeros((60, 60), np.uint8)
    ring[10:50, 10:50] = 255
    ring[20:24, 20:24] = 0
    ring[30:46, 30:46] = 0
    filled = fill_holes(ring, 50)
    assert filled[20:24, 20:24].all()
    assert not filled[31:45, 31:45].any()
    corner = np.zeros((20, 20), np.uint8)
    corner[:6, 4] = corner[:6, 9] = corner[5, 4:10] = 255
    assert np.array_equal(fill_holes(corner, 1000), corner)
    assert not fill_holes(np.zeros((5, 5), np.uint8), 9).any()


@pytest.mark.parametrize(("radius_um", "size"), [(0.5, 5), (0.75, 7), (0.01, 3)])
def test_a_disc_is_odd_and_never_empty(radius_um: float, size: int) -> None:
    assert disc(radius_um, 0.25).shape == (size, size)
    assert disc(radius_um, 0.25).any()
