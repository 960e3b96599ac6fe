"""What all readers do with a picture: open it, bring it to the working scale, find its nuclei and cut crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.preprocess import crop, rescale
from worker.cells.segment import CellMask
from worker.cells.stain_norm import own_norm
from worker.errors import BadRequestError
from worker.geometry import Box
from worker.nets.cards import NO_STAIN_NORM
from worker.single_cells import cut_out, lit, middle_of
from worker.slides.smear.red_cell_scale import estimate_from
from worker.training.classification.data import MPP_UM, STORED_PX

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Find = Callable[[Pixels], Sequence[CellMask]]
"""Finds the cells of a (H, W, 3) uint8 RGB picture at MPP_UM, as the product will."""

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
PER_FIELD = 6
"""Most cells of one kind that are taken from one field."""
_FROM_BORDER_PX = 28
"""Cells of a field nearer to its border are left out: too little of their surroundings is known."""
_JUDGED_PICTURES = 60
"""Pictures of a set whose red cells are measured where nobody states its scale."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """How the product sees a picture: what finds its cells, and the stain that their crops are brought to."""

    find: Find
    stain_norm: str = NO_STAIN_NORM  # as on a card

    def shown(self, image_work: Pixels) -> Pixels:
        """Return the picture that crops are cut from: in the reference's stain by its own profile, or as it is."""
        return own_norm(image_work, MPP_UM, self.stain_norm).apply(image_work)


def pictures_below(folder: Path) -> list[Path]:
    """Return the picture files of a folder and of all folders below it, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def rgb(path: Path) -> Pixels:
    """Return a (H, W, 3) uint8 RGB picture; BadRequestError where the file is none."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadRequestError(f"{path} is not a readable picture")
    return np.asarray(image[..., ::-1], dtype=np.uint8).copy()


def at_work_scale(image: Pixels, mpp_um: float) -> Pixels:
    """Return the picture at MPP_UM."""
    return rescale(image, mpp_um, MPP_UM)


def mask_at_work_scale(mask: Mask, image_work: Pixels) -> Mask:
    """Return a (H, W) mask of the same field in the size of the rescaled picture."""
    size = image_work.shape[1::-1]
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)


def at(image_work: Pixels, x: int, y: int) -> Pixels:
    """Return the stored crop around a pixel."""
    return crop(image_work, x, y, STORED_PX)


def single_cell(image_work: Pixels, sight: Sight) -> Pixels:
    """Return the crop of a picture of one cell, centred as in use."""
    return at(sight.shown(image_work), *middle_of(image_work, sight.find(image_work)))


def cell_on_black(image: Pixels, mpp_um: float, sight: Sight) -> Pixels:
    """Return the crop of a cell that was cut out on black; the black becomes glass, and the cell is lit as if on it."""
    cell = cut_out(image)
    if not cell.any():
        raise BadRequestError("the picture is black all over")
    rows, columns = np.nonzero(cell)
    scale = mpp_um / MPP_UM
    on_glass = at_work_scale(lit(image, cell), mpp_um)
    return at(sight.shown(on_glass), int(columns.mean() * scale), int(rows.mean() * scale))


def inner_nuclei(image_work: Pixels, sight: Sight) -> list[CellMask]:
    """Return the nuclei away from the border of a field."""
    height, width = image_work.shape[:2]
    inner = Box(x=0, y=0, width=width, height=height).grown(-_FROM_BORDER_PX)
    return [n for n in sight.find(image_work) if inner.holds_mean(n.sum_x, n.sum_y, n.count)]


def some(nuclei: Sequence[CellMask], number: int) -> list[CellMask]:
    """Return at most `number` nuclei from all over the field."""
    chosen = np.linspace(0, len(nuclei) - 1, min(number, len(nuclei))).round().astype(int)
    return [nuclei[i] for i in chosen]


def covered(nucleus: CellMask, mask_work: Mask) -> float:
    """Return the share of a nucleus that lies inside a mask of its field."""
    rows, columns = np.nonzero(nucleus.nucleus)
    return float(mask_work[rows + nucleus.y_tile, columns + nucleus.x_tile].mean())


def known_scale(mpp_um: float | None, paths: Sequence[Path], folder: Path) -> float:
    """Return the scale that is given, or else what the red cells of the pictures tell; BadRequestError for neither."""
    if mpp_um is not None:
        return mpp_um
    step = max(1, len(paths) // _JUDGED_PICTURES)
    told = estimate_from(_opened(paths[::step]))
    if told is None:
        raise BadRequestError(
            f"{folder}: the scale is not known, and the red cells do not tell it: "
            "state µm per pixel in a manifest's column mpp_um, or call with mpp_um"
        )
    return told.mpp_um


def _opened(paths: Iterable[Path]) -> Iterable[Pixels]:
    return (rgb(path) for path in islice(paths, _JUDGED_PICTURES))
