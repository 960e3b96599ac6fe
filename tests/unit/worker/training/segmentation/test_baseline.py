from __future__ import annotations

import cv2
import numpy as np
import pytest

from db.records import CellClass
from worker.cells.preprocess import rescale
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.training.segmentation.baseline import classical
from worker.training.segmentation.metrics import Counts, counts, mask_dice, overlap


@pytest.fixture(scope="module")
def smear() -> DrawnSmear:
    composition = {CellClass.LYMPHOCYTE: 5, CellClass.PLASMA_CELL: 4, CellClass.NEUTROPHIL: 3}
    return draw_smear(SmearSpec(width_px=480, height_px=420, seed=11, composition=composition, touching=0.4))


@pytest.mark.parametrize("mpp_um", [0.083, 0.25, 0.37])
def test_cells_are_found_at_the_picture_s_own_size(smear: DrawnSmear, mpp_um: float) -> None:
    rgb = rescale(smear.rgb, 0.25, mpp_um)
    truth = cv2.resize(smear.cells, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    cells, nuclei = classical(rgb, mpp_um)
    assert cells.shape == nuclei.shape == rgb.shape[:2]
    assert mask_dice(truth > 0, cells > 0) > 0.9
    assert counts(overlap(truth, cells)).f1 > 0.9


def test_nuclei_carry_the_number_of_their_cell(smear: DrawnSmear) -> None:
    cells, nuclei = classical(smear.rgb, 0.25)
    assert np.array_equal(np.unique(cells), np.unique(nuclei))
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    assert mask_dice(smear.nuclei > 0, nuclei > 0) > 0.92


def test_cells_at_the_edge_are_found(smear: DrawnSmear) -> None:
    middle = round(smear.truth[0].x_l0)  # the picture begins in the middle of the cell
    rgb, truth = smear.rgb[:, middle:], smear.cells[:, middle:]
    cells, _ = classical(rgb, 0.25)
    assert counts(overlap((truth == 1).astype(np.int32), cells)).hits == 1


def test_what_lies_in_the_mirror_alone_is_not_found() -> None:
    rgb = np.full((200, 200, 3), (238, 234, 238), np.uint8)
    cv2.circle(rgb, (30, 100), 18, (85, 35, 130), cv2.FILLED)
    cells, nuclei = classical(rgb, 0.25)
    assert cells.max() == nuclei.max() == 1


def test_outlines_of_a_coarser_plane_are_smooth() -> None:
    rgb = np.full((600, 600, 3), (238, 234, 238), np.uint8)
    cv2.circle(rgb, (300, 300), 75, (85, 35, 130), cv2.FILLED)
    cells, _ = classical(rgb, 0.08)
    (outline,), _ = cv2.findContours((cells > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    away = np.hypot(outline[:, 0, 0] - 300.0, outline[:, 0, 1] - 300.0)
    assert away.std() < 0.75  # px; with steps as large as the plane's pixels it is 0.9


def test_glass_has_no_cells() -> None:
    cells, nuclei = classical(np.full((90, 80, 3), 240, np.uint8), 0.2)
    assert counts(overlap(cells, nuclei)) == Counts()
