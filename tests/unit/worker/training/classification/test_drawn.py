import numpy as np

from db.records import CellClass
from tests.support.sets import CLASSICAL, classical
from worker.cells.preprocess import crop
from worker.drawing.smear import SmearSpec, draw_smear
from worker.training.classification.data import CLASSES, STORED_PX
from worker.training.classification.drawn import drawn_cells, labelled


def test_every_class_is_drawn_and_one_stain_is_one_group() -> None:
    crops = drawn_cells(3, 1, CLASSICAL)
    assert sorted(crops.keys()) == sorted(CLASSES)
    assert len(np.unique(crops.group)) == 2


def test_found_cells_get_the_class_that_was_drawn_there() -> None:
    composition = {CellClass.NEUTROPHIL: 5, CellClass.LYMPHOBLAST: 7}
    drawn = draw_smear(SmearSpec(width_px=768, height_px=768, seed=9_100_000, composition=composition, touching=0.0))
    found = list(labelled(drawn, classical))
    assert len(found) == 12
    for cell, label in found:
        x, y = cell.centre_tile
        drawn_here = min(drawn.truth, key=lambda true: np.hypot(true.x_l0 - x, true.y_l0 - y))
        assert label == {drawn_here.cell_class}


def test_a_found_cell_lies_in_the_middle_of_its_crop() -> None:
    drawn = draw_smear(
        SmearSpec(width_px=512, height_px=512, seed=9_100_001, composition={CellClass.LYMPHOCYTE: 3}, touching=0.0)
    )
    found, _ = next(labelled(drawn, classical))
    dark = crop(drawn.rgb, *found.centre_tile, STORED_PX).mean(axis=2)
    assert dark[52:60, 52:60].mean() < np.median(dark)
