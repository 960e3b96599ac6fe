"""The pieces that a mask falls into at its necks: whole nuclei or lobes of one; cells that touch.

Watershed of the depth below the outline (Beucher and Lantuéjoul 1979), with shallow maxima merged by persistence,
in whole numbers and by steepest ascent, so that a piece rests on nothing further away than its own width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.stain import Pixels

Labels = NDArray[np.int32]
Positions = NDArray[np.intp]
Numbers = NDArray[np.int64]

DEEPEST_UM = 12.0
"""Depths are told apart up to here."""
NO_NECK = 0.8
"""A neck this wide, as a share of the smaller piece's depth, does not part two pieces."""
_STEPS_PER_PX = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """Labelled pieces, numbered in the order of their deepest pixels, row by row."""

    labels: Labels  # (H, W), 0 outside, 1..n
    depth: Numbers  # (n + 1,) greatest depth, in the units of the necks; [0] is 0
    necks: Mapping[tuple[int, int], int]  # widest neck between touching pieces, lower label first


@dataclass(frozen=True, kw_only=True, eq=False)
class Basins:
    """What steepest ascent makes of depths, before shallow maxima are merged."""

    image: Labels  # (H, W), 0 outside, 1..n in the order of their maxima, row by row
    peaks: Numbers  # (n + 1,) depth of each maximum; [0] is 0
    pairs: Labels  # (M, 2) touching basins, lower first, in order
    saddles: Numbers  # (M,) the greatest depth at which these two touch


FindBasins = Callable[[Labels], Basins]


def split_pieces(mask: Pixels, mpp_um: float, basins: FindBasins | None = None) -> Pieces:
    """Cut a (H, W) uint8 mask of chromatin at its necks."""
    return split_by_depth(_depth(mask, mpp_um), NO_NECK, basins)


def split_by_depth(depth: Labels, no_neck: float, basins: FindBasins | None = None) -> Pieces:
    """Cut the (H, W) int32 depths above 0 along their valleys.

    Two pieces are one where the valley is at least `no_neck` of the shallower one's depth. Depths below 2^26.
    `basins` does the work on each pixel, on a GPU say (`gpu_basins`); every such function gives the same.
    """
    found = (basins or find_basins)(depth)
    piece_of, deepest = _merge_shallow(found.peaks.tolist(), found.pairs, found.saddles, no_neck)
    return Pieces(
        labels=piece_of.take(found.image),
        depth=deepest,
        necks=_necks(np.sort(piece_of[found.pairs], axis=1), found.saddles),
    )


def find_basins(depth: Labels) -> Basins:
    """Return where steepest ascent in (H, W) int32 depths leads to one maximum."""
    depth = np.asarray(cv2.copyMakeBorder(depth, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), np.int32)
    inside = np.flatnonzero(depth != 0)
    top = _climb(depth, inside)
    roots = np.flatnonzero(top == np.arange(len(inside), dtype=np.int32))
    number = np.zeros(len(inside), np.int32)
    number[roots] = np.arange(1, len(roots) + 1)
    basin = number.take(top)
    image = np.zeros(depth.shape, np.int32)
    image.ravel()[inside] = basin
    pairs, saddles = _saddles(basin, image, depth, inside)
    peaks = np.concatenate([[0], depth.ravel()[inside[roots]]]).astype(np.int64)
    return Basins(image=np.ascontiguousarray(image[1:-1, 1:-1]), peaks=peaks, pairs=pairs, saddles=saddles)


def summed(steps: NDArray[np.uint8] | NDArray[np.uint16]) -> Labels:
    """Return (H, W) int32 depths in finer steps: the sums over 5 x 5 pixels, which leave few plateaus."""
    return np.asarray(cv2.boxFilter(steps, cv2.CV_32S, (5, 5), normalize=False), np.int32)


def _depth(mask: Pixels, mpp_um: float) -> Labels:
    """Return the distance to the outside in whole steps, summed; 0 outside."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = summed((np.minimum(distance, DEEPEST_UM / mpp_um) * _STEPS_PER_PX).astype(np.uint16))
    depth[mask == 0] = 0
    return depth


def _climb(depth: Labels, inside: Positions) -> Labels:
    """Return for each pixel inside the index, into `inside`, of the maximum that steepest ascent leads to.

    The outermost rows and columns of `depth` must be 0.
    """
    width = depth.shape[1]
    offsets = np.array([row * width + column for row in range(3) for column in range(3)])
    # The highest of 3 x 3, and of equals the last in raster order, so that no two can point at each other: the
    # low bits hold the neighbour's place in that order.
    heights, corner = (depth << 4).ravel(), inside - width - 1
    best = heights.take(corner)
    for order, offset in enumerate(offsets.tolist()):
        np.maximum(best, heights[offset:].take(corner) + order, out=best)
    index = np.empty(depth.size, np.int32)
    index[inside] = np.arange(len(inside), dtype=np.int32)
    up: Labels = index.take(corner + offsets.take(best & 15))
    while not np.array_equal(further := up.take(up), up):
        up = further
    return up


def _saddles(basin: Labels, image: Labels, depth: Labels, inside: Positions) -> tuple[Labels, Numbers]:
    """Return (M, 2) touching basins, lower first, and the greatest depth at which each two touch."""
    width = depth.shape[1]
    flat, heights = image.ravel(), depth.ravel()
    keys, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for offset in (1, width - 1, width, width + 1):
        there = flat[offset:].take(inside)
        border = np.flatnonzero((there != 0) & (basin != there))
        a, b, at = basin[border], there[border], inside[border]
        keys.append(np.minimum(a, b).astype(np.int64) << 32 | np.maximum(a, b))
        values.append(np.minimum(heights[at], heights[at + offset]).astype(np.int64))
    unique, where = np.unique(np.concatenate(keys), return_inverse=True)
    saddles = np.zeros(len(unique), np.int64)
    np.maximum.at(saddles, where, np.concatenate(values))
    return np.stack([unique >> 32, unique & 0xFFFFFFFF], axis=1).astype(np.int32), saddles


def _merge_shallow(peaks: list[int], pairs: Labels, saddles: Numbers, no_neck: float) -> tuple[Labels, Numbers]:
    """Merge basins from the widest neck down wherever a neck is none; return each basin's piece, and depths."""
    parent = list(range(len(peaks)))

    def find(a: int) -> int:
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        return a

    top = list(peaks)
    for i in np.argsort(-saddles, kind="stable").tolist():
        a, b = find(int(pairs[i, 0])), find(int(pairs[i, 1]))
        if a != b and saddles[i] >= no_neck * min(top[a], top[b]):
            deeper, other = (a, b) if top[a] >= top[b] else (b, a)
            parent[other] = deeper
    kept, piece_of = np.unique([find(a) for a in range(len(peaks))], return_inverse=True)
    return piece_of.astype(np.int32), np.array([top[k] for k in kept], np.int64)


def _necks(ends: Labels, saddles: Numbers) -> dict[tuple[int, int], int]:
    """Return the widest neck between two pieces; basins that touch have these pieces as `ends`, lower first."""
    apart = ends[:, 0] != ends[:, 1]
    necks: dict[tuple[int, int], int] = {}
    for (a, b), saddle in zip(ends[apart].tolist(), saddles[apart].tolist(), strict=True):
        necks[a, b] = max(necks.get((a, b), 0), saddle)
    return necks
