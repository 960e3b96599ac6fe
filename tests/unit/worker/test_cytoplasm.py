from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.support.painted import MPP_UM, field, lymphocyte, neutrophil, plasma_cell, red_cell
from worker.cells.channels import channels
from worker.cells.cytoplasm import REACH_UM, Mask, body_mask, own_cell, territories
from worker.cells.nuclei import nucleus_mask
from worker.cells.stain import Pixels, fit_stain

RED_CELLS = [d for x in range(40, 600, 50) for y in (250, 290) for d in red_cell(x, y)]


def square(top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros((60, 90), bool)
    mask[top:bottom, left:right] = True
    return mask


def body_of(image: Pixels) -> tuple[Pixels, Pixels]:
    fit = fit_stain(image, MPP_UM)
    ch = channels(image, fit)
    chromatin = nucleus_mask(ch, fit, MPP_UM)
    return body_mask(ch, chromatin, fit, MPP_UM), chromatin


def test_blue_and_pink_cytoplasm_are_body_and_red_cells_are_not() -> None:
    image = field(600, 320, [*plasma_cell(80, 80), *neutrophil(250, 80), *red_cell(122, 80), *RED_CELLS])
    body, chromatin = body_of(image)
    assert np.count_nonzero(body[:160, :111]) == pytest.approx(np.pi * 30**2, rel=0.15)
    assert np.count_nonzero(body[:160, 150:]) == pytest.approx(np.pi * 27**2, rel=0.15)
    assert not body[200:].any()
    assert body[80, 65]
    assert not body[80, 128]
    assert body[chromatin > 0].all()


def test_a_slide_without_red_cells_keeps_its_cytoplasm() -> None:
    body, _ = body_of(field(300, 160, neutrophil(100, 80)))
    assert np.count_nonzero(body) == pytest.approx(np.pi * 27**2, rel=0.15)


def test_territories_share_the_body_out_by_distance_and_reach() -> None:
    pieces = np.zeros((60, 160), np.int32)
    pieces[25:35, 20:30] = 1
    pieces[25:35, 50:60] = 2
    land = territories(pieces, np.full((60, 160), 255, np.uint8), MPP_UM)
    assert (land.labels[30, 1:40] == 1).all()
    assert (land.labels[30, 40:87] == 2).all()
    assert not land.labels[30, 60 + round(REACH_UM / MPP_UM) :].any()
    assert land.places[0][1].stop <= land.places[1][1].start + 1
    assert land.joint([1, 2])[1] == slice(land.places[0][1].start, land.places[1][1].stop)


def test_a_cell_keeps_what_hangs_together_with_its_nucleus() -> None:
    nucleus = square(20, 20, 30, 30)
    cell = own_cell(nucleus, square(15, 15, 35, 35) | square(10, 60, 20, 70), MPP_UM)
    assert np.array_equal(cell, square(15, 15, 35, 35))


def test_small_holes_of_a_cell_are_filled() -> None:
    territory = square(10, 10, 50, 50) & ~square(40, 40, 44, 44)
    assert np.array_equal(own_cell(square(20, 20, 30, 30), territory, MPP_UM), square(10, 10, 50, 50))


def test_lobes_without_cytoplasm_between_them_are_all_kept() -> None:
    lobes = square(10, 10, 20, 20) | square(10, 30, 20, 40)
    assert np.array_equal(own_cell(lobes, lobes, MPP_UM), lobes)


def test_glass_between_close_cells_is_not_bridged() -> None:
    body, _ = body_of(field(600, 320, [*lymphocyte(80, 80), *lymphocyte(128, 80), *RED_CELLS]))
    assert not body[60:100, 103:105].any()


def test_bridges_between_cells_are_cut() -> None:
    image = field(600, 320, [*lymphocyte(80, 80), *lymphocyte(150, 80), *RED_CELLS])
    cv2.line(image, (80, 80), (150, 80), (140, 140, 200), 1)
    body, _ = body_of(image)
    assert not body[70:90, 112:118].any()
