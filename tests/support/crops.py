"""Small made-up sets of labelled crops: discs whose colour tells the class, so that a tiny network can learn it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import CellClass
from worker.cells.segment import CellMask
from worker.training.classification.data import STORED_PX, CropSet, Label, crop_set

COLOURS = {
    CellClass.LYMPHOCYTE: (60, 20, 120),
    CellClass.EOSINOPHIL: (220, 90, 60),
    CellClass.PLASMA_CELL: (40, 90, 220),
}


def discs(labels: Sequence[Label], *, source: str = "discs", per_group: int = 2, seed: int = 1) -> CropSet:
    """Return one crop per label: a disc in the colour of the label's first class, on noisy glass."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, label in enumerate(labels):
        crop = rng.integers(215, 240, (STORED_PX, STORED_PX, 3), dtype=np.uint8)
        named = sorted(label & COLOURS.keys())
        colour = COLOURS[named[0]] if named else (120, 120, 120)
        middle = STORED_PX // 2
        cv2.circle(crop, (middle, middle), int(rng.integers(12, 20)), colour, -1)
        rows.append((crop, label, f"{source}-{number // per_group}", str(number)))
    return crop_set(rows, source)


def one_of_each(number: int) -> list[Label]:
    """Return `number` labels of each class in COLOURS."""
    return [frozenset({c}) for c in COLOURS for _ in range(number)]


def dark(crop: NDArray[np.uint8]) -> list[CellMask]:
    """Find the one disc of a made-up crop."""
    mask = crop.min(axis=2) < 150
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return []
    sums = {"sum_x": int(columns.sum()), "sum_y": int(rows.sum()), "count": len(rows)}
    return [CellMask(x_tile=0, y_tile=0, nucleus=mask, cell=mask, lobes=1, **sums)]
