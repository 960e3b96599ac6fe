"""Cells found at the working scale, drawn again at a picture's own scale, with smooth outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np

from worker.cells.cytoplasm import Mask
from worker.cells.instances import LIKELY
from worker.cells.pieces import Labels
from worker.cells.stain import Pixels

Drawn = tuple[int, int, Mask]
"""First column, first row and mask of a cell or nucleus at the working scale."""


@dataclass(frozen=True, kw_only=True)
class _Span:
    """The rows or columns of a picture that lie over a box of the working scale, grown by a pixel on each side."""

    start: int
    stop: int
    step: float  # working px per px of the picture
    first: float  # where `start` lies, in px of the grown box


def redrawn(masks: Sequence[Drawn], values: Pixels, shape: tuple[int, int]) -> Labels:
    """Return disjoint masks as an int32 label image of a picture of another shape, numbered from 1.

    Between two pixels an outline lies where the (H, W) uint8 map behind the masks crosses LIKELY.
    """
    owner = np.zeros(values.shape, np.int32)
    for number, (x, y, mask) in enumerate(masks, start=1):
        owner[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = number
    # What reaches the picture's edge goes on behind it.
    owner, around = np.pad(owner, 1, mode="edge"), np.pad(values, 1, mode="edge")
    labels = np.zeros(shape, np.int32)
    for number, (x, y, mask) in enumerate(masks, start=1):
        grown = np.s_[y : y + mask.shape[0] + 2, x : x + mask.shape[1] + 2]
        rows = _span(y, mask.shape[0], values.shape[0], shape[0])
        columns = _span(x, mask.shape[1], values.shape[1], shape[1])
        inside = _resampled(_agreeing(around[grown], owner[grown] == number), rows, columns) >= LIKELY
        labels[rows.start : rows.stop, columns.start : columns.stop][inside] = number
    return labels


def _span(start_work: int, length: int, size_work: int, size: int) -> _Span:
    """Return the px of the picture whose middles lie between those of the grown box's outermost px."""
    step = size_work / size
    start = max(0, ceil((start_work - 0.5) / step - 0.5))
    stop = min(size, floor((start_work + length + 0.5) / step - 0.5) + 1)
    return _Span(start=start, stop=max(start, stop), step=step, first=(start + 0.5) * step + 0.5 - start_work)


def _agreeing(values: Pixels, own: Mask) -> Pixels:
    """Return the map of a cell's box, made to lie at LIKELY or above in the cell and below everywhere else."""
    # What is likely and not the cell's is a neighbour: 0 there puts the border midway between the two.
    return np.where(own, np.maximum(values, LIKELY), np.where(values >= LIKELY, 0, values)).astype(np.uint8)


def _resampled(box: Pixels, rows: _Span, columns: _Span) -> Pixels:
    """Return a grown box at the pixels of the picture, by linear interpolation."""
    size = columns.stop - columns.start, rows.stop - rows.start
    if not all(size):
        return np.empty(size[::-1], np.uint8)
    to_box = np.array([[columns.step, 0, columns.first], [0, rows.step, rows.first]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(box, to_box, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)
