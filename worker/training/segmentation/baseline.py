"""The classical segmenter on a picture by itself: the baseline of every table."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.cytoplasm import Mask
from worker.cells.preprocess import rescale
from worker.cells.segment import CellMask, fit_stain, segment
from worker.cells.stain import Pixels

Labels = NDArray[np.int32]

CLASSICAL = "classical"
WORK_MPP_UM = 0.25
PAD_UM = 24.0
"""Mirrored around the picture, since the segmenter leaves out what reaches a tile's edge."""
_SOFT_PX = 1.0
"""Masks are softened by so much before they are enlarged: their steps would be seen, and cost a little Dice."""
_RIM_PX = 4


def classical(rgb: Pixels, mpp_um: float) -> tuple[Labels, Labels]:
    """Return (H, W) labels of cells and of their nuclei, of the picture's own size; equal numbers belong together.

    The stain is fitted on the picture itself, as on a slide that shows nothing else.
    """
    work = rescale(rgb, mpp_um, WORK_MPP_UM)
    fit = fit_stain(work, WORK_MPP_UM)
    pad = round(PAD_UM / WORK_MPP_UM)
    padded = np.asarray(cv2.copyMakeBorder(work, pad, pad, pad, pad, cv2.BORDER_REFLECT_101), np.uint8)
    height, width = work.shape[:2]
    bodies, nuclei = _Canvas(rgb.shape[:2], (height, width)), _Canvas(rgb.shape[:2], (height, width))
    number = 0
    for cell in segment(padded, fit, WORK_MPP_UM):
        if _shown(cell, slice(pad, pad + height), slice(pad, pad + width)):
            number += 1
            bodies.paint(cell.cell, cell.y_tile - pad, cell.x_tile - pad, number)
            nuclei.paint(cell.nucleus, cell.y_tile - pad, cell.x_tile - pad, number)
    return bodies.labels, nuclei.labels


def _shown(cell: CellMask, rows: slice, columns: slice) -> bool:
    """Tell whether any of the nucleus lies in the picture itself, and not all of it in the mirror."""
    y, x = (max(0, rows.start - cell.y_tile), max(0, columns.start - cell.x_tile))
    return bool(cell.nucleus[y : max(0, rows.stop - cell.y_tile), x : max(0, columns.stop - cell.x_tile)].any())


class _Canvas:
    """Labels of a picture that masks at another scale are painted on, with outlines between its pixels where finer.

    A pixel belongs to the mask that covers most of it, and to none when less than half of it is covered.
    """

    def __init__(self, shape: tuple[int, int], work: tuple[int, int]) -> None:
        self.labels = np.zeros(shape, np.int32)
        # A little below, so that a pixel which two masks share evenly belongs to one of them.
        self._most = np.full(shape, 0.499, np.float32)
        self._down, self._right = shape[0] / work[0], shape[1] / work[1]

    def paint(self, mask: Mask, y_work: int, x_work: int, number: int) -> None:
        """Paint a (h, w) mask whose first pixel lies at (x_work, y_work)."""
        y_work, x_work = y_work - _RIM_PX, x_work - _RIM_PX
        soft = cv2.GaussianBlur(np.pad(mask.astype(np.float32), _RIM_PX), (0, 0), _SOFT_PX)
        rows = self._span(y_work, soft.shape[0], self._down, 0)
        columns = self._span(x_work, soft.shape[1], self._right, 1)
        # The matrix leads from the centre of a pixel of the window back to a place in the mask.
        back = np.array(
            [
                [1 / self._right, 0, (columns.start + 0.5) / self._right - 0.5 - x_work],
                [0, 1 / self._down, (rows.start + 0.5) / self._down - 0.5 - y_work],
            ]
        )
        size = (columns.stop - columns.start, rows.stop - rows.start)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        share = np.asarray(cv2.warpAffine(soft, back, size, flags=how), np.float32)
        covered = share > self._most[rows, columns]
        self.labels[rows, columns][covered] = number
        self._most[rows, columns][covered] = share[covered]

    def _span(self, start: int, length: int, scale: float, axis: int) -> slice:
        """Return the pixels of the picture that a stretch of the mask's plane reaches."""
        most = self.labels.shape[axis]
        return slice(max(0, int(start * scale)), min(most, int((start + length) * scale) + 1))
