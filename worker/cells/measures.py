"""The measurements of a cell that a classifier may weigh beside its picture (worker/nets/morphology.py).

Sizes, shapes, spreads and textures are taken as they are, of the mean colours only the steps from cytoplasm to nucleus:
a colour by itself tells the laboratory's stain before it tells the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.cells import features
from worker.cells.preprocess import Pixels
from worker.cells.segment import CellMask
from worker.errors import ModelError

Measured = NDArray[np.float32]
Find = Callable[[Pixels], Sequence[CellMask]]
"""Finds the cells of a (H, W, 3) uint8 RGB picture."""

_STEP, _MEAN = "step_", "_mean"
NAMES: tuple[str, ...] = (
    *(name for name in features.NAMES if not name.endswith(_MEAN)),
    *(_STEP + channel for channel in "rgb"),
)
"""What is weighed, in this order; `step_r` is the mean red of the nucleus less that of the cytoplasm."""
_FAR_UM = 4.0
"""A cell found farther from the middle of a crop is another one."""


def rows(cells: Sequence[dict[str, float]]) -> Measured:
    """Return the features of cells as (N, F), in the order of features.NAMES."""
    values = [[cell[name] for name in features.NAMES] for cell in cells]
    return np.array(values, dtype=np.float32).reshape(len(cells), len(features.NAMES))


def of_crops(crops: Pixels, mpp_um: float, find: Find) -> Measured:
    """Return (N, F) features of the cells in the middles of (N, H, W, 3) uint8 RGB crops; NaN where none is found."""
    out = np.full((len(crops), len(features.NAMES)), np.nan, dtype=np.float32)
    for row, crop in zip(out, crops, strict=True):
        if (cell := _middle(find(crop), crop.shape[0], mpp_um)) is not None:
            row[:] = list(features.measure(crop, cell, mpp_um).values())
    return out


def chosen(measured: Measured, names: Sequence[str]) -> Measured:
    """Return (N, M) of (N, F) features by the names of measures.

    Raises ModelError for a name that this version does not know.
    """
    if unknown := set(names) - set(NAMES):
        raise ModelError(
            f"the model weighs {', '.join(sorted(unknown))}, which this version does not measure: use a newer version"
        )
    if not names:
        return np.empty((len(measured), 0), dtype=np.float32)
    return np.stack([_column(measured, name) for name in names], axis=1)


def _column(measured: Measured, name: str) -> Measured:
    if name.startswith(_STEP):
        channel = name.removeprefix(_STEP)
        return _column(measured, f"nucleus_{channel}{_MEAN}") - _column(measured, f"cytoplasm_{channel}{_MEAN}")
    return measured[:, features.NAMES.index(name)]


def _middle(cells: Sequence[CellMask], side_px: int, mpp_um: float) -> CellMask | None:
    """Return the cell whose nucleus is nearest the middle, None when none is near."""

    def apart(cell: CellMask) -> float:
        x, y = cell.centre_tile
        return float(np.hypot(x - side_px // 2, y - side_px // 2)) * mpp_um

    nearest = min(cells, key=apart, default=None)
    return nearest if nearest is not None and apart(nearest) <= _FAR_UM else None
