"""Polygons about the parts of a bitmap, whose sides meet nowhere but in their corners."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.stain import Pixels

Contour = NDArray[np.int32]
"""Corners (x, y) in order, without the repeated first one: (N, 2), or (N, 1, 2) where OpenCV gave it."""

_WIDEST_PX = 4096
"""No bitmap is made of anything larger: no cell is, on any plane."""


def contours(bitmap: Pixels) -> list[Contour]:
    """Return the outer border of every part of a bitmap, px by px, each (N, 1, 2)."""
    found, _ = cv2.findContours(bitmap, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(one, np.int32) for one in found]


def around(bitmap: Pixels) -> Contour:
    """Return the (N, 2) polygon through the border px of a bitmap's largest part, within about a px of them.

    Its sides do not cross. It has fewer than three corners where that part is a line or a point.
    """
    # Opened, because a spur of one pixel's width would make the line run back on itself.
    body = np.asarray(cv2.morphologyEx(bitmap, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    largest = max(contours(body if body.any() else bitmap), key=cv2.contourArea)
    polygon = np.asarray(cv2.approxPolyDP(largest, 0.75, closed=True), np.int32)[:, 0]
    return polygon if is_simple(polygon) else np.asarray(cv2.convexHull(largest), np.int32)[:, 0]


def mended(polygon: Contour) -> Contour | None:
    """Return an (N, 2) polygon as it is where it is simple, else one about the largest part that it encloses.

    None where it encloses nothing.
    """
    apart = polygon[np.any(polygon != np.roll(polygon, 1, axis=0), axis=1)]
    if is_simple(apart):
        return apart
    if len(apart) < 3 or np.ptp(apart, axis=0).max() > _WIDEST_PX:
        return None
    corner = apart.min(axis=0) - 1
    bitmap = np.zeros(tuple(np.ptp(apart, axis=0)[::-1] + 3), np.uint8)
    cv2.fillPoly(bitmap, [apart - corner], 1)
    found = around(bitmap)
    return found + corner if is_simple(found) else None


def way_round(corners: Sequence[tuple[int, int]]) -> int:
    """Return 1 or -1 for corners that go once round their mean without a step back, 0 for all others.

    Such a polygon is simple, as most cells' are, and this is told in a tenth of the time that `is_simple` takes. 1:
    by growing angle, which on a picture, whose y grows downwards, is clockwise.
    """
    number, sum_x, sum_y = len(corners), sum(x for x, _ in corners), sum(y for _, y in corners)
    spokes = [(number * x - sum_x, number * y - sum_y) for x, y in corners]
    way, halves = 0, 0
    for (ax, ay), (bx, by) in zip(spokes, spokes[1:] + spokes[:1], strict=True):
        turn = ax * by - ay * bx
        if turn * way < 0 or turn == 0:
            return 0
        way = 1 if turn > 0 else -1
        halves += (ay < 0) != (by < 0)
    return way if halves == 2 else 0


def is_simple(polygon: Contour) -> bool:
    """Tell whether no two sides of a polygon meet except neighbours in their common corner."""
    number = len(polygon)
    if number < 3:
        return False
    start = polygon.astype(np.int64)
    end = np.roll(start, -1, axis=0)
    one, other = np.triu_indices(number, k=2)
    apart = (one != 0) | (other != number - 1)  # the last side is the first one's neighbour
    one, other = one[apart], other[apart]
    across = _turn(start[one], end[one], start[other]) * _turn(start[one], end[one], end[other])
    along = _turn(start[other], end[other], start[one]) * _turn(start[other], end[other], end[one])
    low, high = np.minimum(start, end), np.maximum(start, end)
    near = np.all((low[one] <= high[other]) & (low[other] <= high[one]), axis=1)  # else they only lie on one line
    side, after = end - start, np.roll(end - start, -1, axis=0)
    folded = (_turn(start, end, end + after) == 0) & ((side * after).sum(axis=1) <= 0)
    return not bool(np.any((across <= 0) & (along <= 0) & near)) and not bool(folded.any())


def _turn(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sign of the turn a, b, c: 0 where they lie on one line."""
    cross = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.asarray(np.sign(cross), np.int64)
