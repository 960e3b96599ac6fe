"""How well one label image agrees with another: masks, objects and counts.

Everything is worked out from how many pixels each true cell shares with each found one, which is counted once. A label
image is (H, W) whole numbers: 0 background, 1..n the cells; numbers may be left out, and which cell has which of them
changes nothing. Where neither image holds a cell, a share that both agree on is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Shares = NDArray[np.float64]

MATCH_ABOVE = 0.5
"""Intersection over union above which two outlines are one cell; no cell can be so near to two (Kirillov 2019)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlap:
    """Pixels that the n true and m found cells have and share, both in the order of their first pixels."""

    shared: Numbers  # (n, m)
    truth_px: Numbers  # (n,)
    found_px: Numbers  # (m,)

    @property
    def united(self) -> Numbers:
        """(n, m) pixels that two cells have together."""
        united: Numbers = self.truth_px[:, None] + self.found_px[None, :] - self.shared
        return united

    @property
    def iou(self) -> Shares:
        """(n, m) intersection over union."""
        return np.asarray(self.shared / self.united)

    @property
    def dice(self) -> Shares:
        """(n, m) twice the intersection over the sum of the areas."""
        return np.asarray(2 * self.shared / (self.truth_px[:, None] + self.found_px[None, :]))


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Cells of one field or many; counts of disjoint fields add up."""

    truth: int = 0
    found: int = 0
    hits: int = 0  # pairs of one true and one found cell whose outlines match
    iou_sum: float = 0.0  # over the pairs
    dice_sum: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            truth=self.truth + other.truth,
            found=self.found + other.found,
            hits=self.hits + other.hits,
            iou_sum=self.iou_sum + other.iou_sum,
            dice_sum=self.dice_sum + other.dice_sum,
        )

    @property
    def precision(self) -> float:
        """Share of the found cells that are true."""
        return _share(self.hits, self.found)

    @property
    def recall(self) -> float:
        """Share of the true cells that are found."""
        return _share(self.hits, self.truth)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, which is also the detection quality DQ."""
        return _share(2 * self.hits, self.truth + self.found)

    @property
    def segmentation_quality(self) -> float:
        """SQ: mean intersection over union of the pairs; 0 where cells were to be matched and none was."""
        return _share(self.iou_sum, self.hits) if self.hits else float(self.truth + self.found == 0)

    @property
    def panoptic_quality(self) -> float:
        """PQ (Kirillov et al. 2019): detection quality times segmentation quality."""
        return self.f1 * self.segmentation_quality

    @property
    def matched_dice(self) -> float | None:
        """Mean Dice of the pairs; None without one."""
        return self.dice_sum / self.hits if self.hits else None

    @property
    def error(self) -> int:
        """Cells found in excess; negative where some are missing."""
        return self.found - self.truth


def overlap(truth: Labels, found: Labels) -> Overlap:
    """Count shared pixels; raises ValueError when the images differ in size."""
    if truth.shape != found.shape:
        raise ValueError(f"label images of {truth.shape} and {found.shape} cannot be compared")
    rows, columns = _in_order(truth), _in_order(found)
    n, m = int(rows.max(initial=0)), int(columns.max(initial=0))
    shared = np.bincount(rows * (m + 1) + columns, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    return Overlap(shared=shared[1:, 1:], truth_px=shared[1:].sum(axis=1), found_px=shared[:, 1:].sum(axis=0))


def counts(shared: Overlap) -> Counts:
    """Match cells one to one and count them."""
    matched = shared.iou > MATCH_ABOVE
    return Counts(
        truth=len(shared.truth_px),
        found=len(shared.found_px),
        hits=int(np.count_nonzero(matched)),
        iou_sum=float(shared.iou[matched].sum()),
        dice_sum=float(shared.dice[matched].sum()),
    )


def aggregated_jaccard(shared: Overlap) -> float:
    """Return the aggregated Jaccard index (Kumar et al., IEEE Trans Med Imaging 2017;36:1550).

    Each true cell is compared with the found one of greatest intersection over union, which may serve several; true
    cells that meet none and found ones that served none add to the union. So errors of masks and of detection both
    count, and it is at most the Jaccard index of the masks.
    """
    if not len(shared.truth_px) or not len(shared.found_px):
        return float(len(shared.truth_px) == len(shared.found_px))
    best = shared.iou.argmax(axis=1)
    every = np.arange(len(best))
    met = shared.shared[every, best] > 0
    used = np.zeros(len(shared.found_px), bool)
    used[best[met]] = True
    united = shared.united[every, best][met].sum() + shared.truth_px[~met].sum() + shared.found_px[~used].sum()
    return float(shared.shared[every, best].sum() / united)


def mask_dice(truth: Mask, found: Mask) -> float:
    """Return 2 |A and B| / (|A| + |B|) of two masks."""
    return _share(2 * _px(truth & found), _px(truth) + _px(found))


def mask_jaccard(truth: Mask, found: Mask) -> float:
    """Return |A and B| / |A or B| of two masks."""
    return _share(_px(truth & found), _px(truth | found))


def _px(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _in_order(labels: Labels) -> Numbers:
    """Return (H * W,) the labels as 0, 1..n without gaps, in the order of their first pixels.

    So ties are broken, and numbers added up, in the same way however the cells are numbered.
    """
    flat = labels.ravel().astype(np.int64)
    first = np.full(int(flat.max(initial=0)) + 1, -1)
    first[flat[::-1]] = np.arange(flat.size)[::-1]
    present = np.flatnonzero(first[1:] >= 0) + 1
    number = np.zeros_like(first)
    number[present[np.argsort(first[present])]] = np.arange(1, len(present) + 1)
    return np.asarray(number[flat])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0
