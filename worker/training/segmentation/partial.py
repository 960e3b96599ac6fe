"""Judging where the truth does not hold every cell, and where it holds touching cells as one.

Of marrow fields only the plasma cells are outlined, and touching ones have one outline: nothing can be said of the
other cells that are found, and a clump whose cells are told apart matches none of them. Of pictures of a single cell
only the middle one is outlined, and others reach in from the rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from worker.training.segmentation.metrics import MATCH_ABOVE, Counts, Labels, Mask, Overlap, counts, overlap

INSIDE_ABOVE = 0.5
"""A found cell is taken for a part of the component that holds more than this share of it."""
MERGED_UM2 = 240.0
"""A component larger than most plasma cells (10 to 20 µm across) whose outline is also notched,"""
MERGED_SOLIDITY = 0.92
"""filling less than this share of its convex hull, looks like several cells;"""
LARGEST_UM2 = 400.0
"""so does any that is larger than this, whatever its outline."""
CRUMB_UM2 = 12.5
"""Smaller components are no cells but left over from outlining; they count as missed all the same."""


@dataclass(frozen=True, kw_only=True)
class PartialCounts:
    """Outlined components of one field or many, strictly judged first."""

    strict: Counts  # each component against each found cell; `found` counts only the cells that match
    joined: Counts  # against the union of the found cells that lie mostly inside
    single: Counts  # strictly, only the components that are neither merged nor crumbs
    merged: int  # components that look like several cells
    crumbs: int  # and that are too small for one

    def __add__(self, other: PartialCounts) -> PartialCounts:
        return PartialCounts(
            strict=self.strict + other.strict,
            joined=self.joined + other.joined,
            single=self.single + other.single,
            merged=self.merged + other.merged,
            crumbs=self.crumbs + other.crumbs,
        )


def partial_counts(truth: Labels, found: Labels, mpp_um: float) -> PartialCounts:
    """Judge the components of a field at `mpp_um` µm/px; found cells that match none are neither right nor wrong."""
    shared = overlap(truth, found)
    present = np.unique_counts(truth[truth > 0])
    crumbs = present.values[present.counts * mpp_um**2 < CRUMB_UM2].tolist()
    merged = _merged(truth, mpp_um)
    single = np.where(np.isin(truth, [*crumbs, *merged]), 0, truth)
    return PartialCounts(
        strict=_only_hits(counts(shared)),
        joined=_only_hits(_joined(shared)),
        single=_only_hits(counts(overlap(single, found))),
        merged=len(merged),
        crumbs=len(crumbs),
    )


def without_rim(truth: Labels, found: Labels) -> Labels:
    """Return the found cells less those that reach the picture's border and do not touch a true cell."""
    near = cv2.dilate((truth > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rim = np.unique(np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]]))
    strange = np.setdiff1d(rim, found[near])
    return np.asarray(np.where(np.isin(found, strange), 0, found))


def _joined(shared: Overlap) -> Counts:
    inside = shared.shared > INSIDE_ABOVE * shared.found_px[None, :]
    part = np.where(inside, shared.shared, 0).sum(axis=1)
    whole = np.where(inside, shared.found_px[None, :], 0).sum(axis=1)
    iou = part / (shared.truth_px + whole - part)
    dice = 2 * part / (shared.truth_px + whole)
    matched = iou > MATCH_ABOVE
    return Counts(
        truth=len(iou),
        hits=int(np.count_nonzero(matched)),
        iou_sum=float(iou[matched].sum()),
        dice_sum=float(dice[matched].sum()),
    )


def _only_hits(of: Counts) -> Counts:
    return Counts(truth=of.truth, found=of.hits, hits=of.hits, iou_sum=of.iou_sum, dice_sum=of.dice_sum)


def _merged(truth: Labels, mpp_um: float) -> list[int]:
    """Return the components that look like several cells."""
    places = enumerate(ndimage.find_objects(truth.astype(np.int32)), start=1)
    return [label for label, place in places if place is not None and _looks_merged(truth[place] == label, mpp_um)]


def _looks_merged(component: Mask, mpp_um: float) -> bool:
    area_um2 = np.count_nonzero(component) * mpp_um**2
    if area_um2 <= MERGED_UM2 or area_um2 > LARGEST_UM2:
        return bool(area_um2 > LARGEST_UM2)
    contours, _ = cv2.findContours(component.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull_um2 = cv2.contourArea(cv2.convexHull(np.concatenate(contours))) * mpp_um**2
    return bool(area_um2 < MERGED_SOLIDITY * hull_um2)
