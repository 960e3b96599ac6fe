"""From a picture of one cell to the crop that a classifier takes: by physical size, the cell in the middle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.cells.find import find_cells
from worker.cells.measures import Measured, of_crops
from worker.cells.preprocess import Pixels, crop, rescale
from worker.cells.segment import CellMask
from worker.cells.stain import fit_stain
from worker.cells.stain_norm import own_norm
from worker.errors import BadSlideError
from worker.nets.registry import Model

MOST_UM = 120.0
"""A picture that is wider or higher shows a field."""
_CUT_OUT = 0.5
"""So much of a picture's border is black where the cell was cut out on black."""
_BLACK = 8
_GLASS = 230
"""Grey level of the glass that a cell cut out on black is put on."""


def crop_of(rgb: Pixels, mpp_um: float, model: Model) -> Pixels:
    """Return the (S, S, 3) uint8 RGB crop of a picture of one cell at `mpp_um` µm/px, S the card's crop_px.

    Raises:
        BadSlideError: `not_one_cell`, when the picture is too large for one.
    """
    card = model.card
    if max(rgb.shape[:2]) * mpp_um > MOST_UM:
        cause = f"it is {max(rgb.shape[:2]) * mpp_um:.0f} µm wide or high at {mpp_um:g} µm/px, a field and no cell"
        raise BadSlideError("not_one_cell", cause, "Check --mpp, or use marrowline predict for fields.")
    image = rescale(on_glass(rgb), mpp_um, card.mpp_um)
    stain = fit_stain(image, card.mpp_um)
    cell = crop(image, *middle_of(image, find_cells(image, stain, card.mpp_um, model.segmenter)), card.crop_px)
    return own_norm(image, card.mpp_um, card.stain_norm).apply(cell)


def measured(crops: Pixels, model: Model) -> Measured | None:
    """Return (N, F) the features of the cells in such crops, NaN where none is found in the middle.

    None for a model that weighs no measurements.
    """
    if not model.card.measures:
        return None

    def find(picture: Pixels) -> list[CellMask]:
        return find_cells(picture, fit_stain(picture, model.card.mpp_um), model.card.mpp_um, model.segmenter)

    return of_crops(crops, model.card.mpp_um, find)


def on_glass(rgb: Pixels) -> Pixels:
    """Return a cell that was cut out on black as if on glass and lit like it; any other picture as it is.

    The C-NMC set cuts its cells out so.
    """
    dark = ~cut_out(rgb)
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    return rgb if border.mean() < _CUT_OUT or dark.all() else lit(rgb, ~dark)


def cut_out(rgb: Pixels) -> NDArray[np.bool_]:
    """Return (H, W) what is not black: the cell, where a picture is one that was cut out."""
    return np.asarray(rgb.max(axis=2) > _BLACK, dtype=np.bool_)


def lit(rgb: Pixels, cell: NDArray[np.bool_]) -> Pixels:
    """Return the picture with the cell lit as if on glass, and glass all about it; some px must be the cell's."""
    brightest = 1.1 * np.percentile(rgb[cell], 98, axis=0)
    on_it = np.asarray(np.minimum(255, rgb * (_GLASS / np.maximum(1.0, brightest))), np.uint8)
    on_it[~cell] = _GLASS
    return on_it


def middle_of(image: Pixels, cells: Sequence[CellMask]) -> tuple[int, int]:
    """Return the centre (x, y) of the nucleus nearest the picture's middle.

    Where none lies within a quarter of the picture's side, the middle itself is taken.
    """
    height, width = image.shape[:2]
    x, y = width // 2, height // 2
    centres = [cell.centre_tile for cell in cells]
    nearest = min(centres, key=lambda centre: np.hypot(centre[0] - x, centre[1] - y), default=(x, y))
    return nearest if np.hypot(nearest[0] - x, nearest[1] - y) < min(height, width) / 4 else (x, y)
