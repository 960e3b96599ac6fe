"""The classical segmenter on a picture by itself: the baseline of every table."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.cytoplasm import Mask
from worker.cells.preprocess import rescale
from worker.cells.redraw import Drawn, redrawn
from worker.cells.segment import fit_stain, segment
from worker.cells.stain import Pixels

Labels = NDArray[np.int32]

WORK_MPP_UM = 0.25
PAD_UM = 24.0
"""Mirrored around the picture, since the segmenter leaves out what reaches a tile's edge."""
_SOFT_PX = 1.0
"""Masks are softened by so much before they are enlarged: their steps would be seen, and cost a little Dice."""


def classical(rgb: Pixels, mpp_um: float) -> tuple[Labels, Labels]:
    """Return (H, W) labels of cells and of their nuclei, of the picture's own size; equal numbers belong together.

    The stain is fitted on the picture itself, as on a slide that shows nothing else.
    """
    work = rescale(rgb, mpp_um, WORK_MPP_UM)
    fit = fit_stain(work, WORK_MPP_UM)
    pad = round(PAD_UM / WORK_MPP_UM)
    padded = np.asarray(cv2.copyMakeBorder(work, pad, pad, pad, pad, cv2.BORDER_REFLECT_101), np.uint8)
    bodies, nuclei = [], []
    for found in segment(padded, fit, WORK_MPP_UM):
        place, shape = (found.x_tile - pad, found.y_tile - pad), work.shape[:2]
        nucleus = _within(found.nucleus, place, shape)
        if nucleus[2].any():  # not all of it lies in the mirror
            bodies.append(_within(found.cell, place, shape))
            nuclei.append(nucleus)
    return _enlarged(bodies, work.shape[:2], rgb.shape[:2]), _enlarged(nuclei, work.shape[:2], rgb.shape[:2])


def _within(mask: Mask, place: tuple[int, int], shape: tuple[int, int]) -> Drawn:
    """Return the part of a mask at (x, y) that lies in a picture of this shape, with its own place."""
    x, y = place
    left, top = max(0, -x), max(0, -y)
    return x + left, y + top, mask[top : max(top, shape[0] - y), left : max(left, shape[1] - x)]


def _enlarged(masks: Sequence[Drawn], work: tuple[int, int], shape: tuple[int, int]) -> Labels:
    """Return disjoint masks as labels of a picture of another shape, with smooth outlines where that is finer."""
    covered = np.zeros(work, np.float32)
    for x, y, mask in masks:
        covered[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = 255
    soft = np.rint(cv2.GaussianBlur(covered, (0, 0), _SOFT_PX)).astype(np.uint8)
    return redrawn(masks, soft, shape)
