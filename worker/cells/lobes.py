"""Which pieces of chromatin belong to one cell: the lobes of one neutrophil are one cell, two lymphocytes are two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, pi, sqrt

import cv2
import numpy as np

from worker.cells.cytoplasm import Territories
from worker.cells.pieces import Pieces

ONE_NUCLEUS = 0.72
"""A neck this wide, as a share of the smaller piece's depth, joins parts of one nucleus."""
GAP_UM = 2.5
"""Lobes of one nucleus lie at most this far apart, with cytoplasm between them."""
LOBE_UM2 = 28.0
"""Of two lobes one is at most this large; two larger pieces are two nuclei, unless their cell's outline tells,"""
SPREAD_UM = 14.0
"""and all lobes of a nucleus lie at most this far across."""
BODY_SOLIDITY = 0.9
"""The outline of one cell fills its convex hull to this share at least,"""
BODY_ASPECT = 1.45
"""is at most this many times as long as wide,"""
BODY_UM = 18.0
"""and at most this long."""


@dataclass(frozen=True, kw_only=True)
class _Link:
    """Two pieces that may be one nucleus."""

    gap_px: float
    neck: float  # width of the neck as a share of the smaller piece's depth; 0 across a gap
    a: int
    b: int

    @property
    def order(self) -> tuple[float, float, int, int]:
        """Closest first, then widest neck."""
        return self.gap_px, -self.neck, self.a, self.b


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """A piece's size and place as whole numbers of pixels."""

    count: int
    sum_x: int
    sum_y: int

    def across_px(self, other: _Extent) -> float:
        """Return how far two pieces spread, each taken as a disc of its area."""
        # One division at the end: the sums change with the tile's origin, this difference does not.
        both = self.count * other.count
        x = (self.sum_x * other.count - other.sum_x * self.count) / both
        y = (self.sum_y * other.count - other.sum_y * self.count) / both
        return hypot(x, y) + sqrt(self.count / pi) + sqrt(other.count / pi)


class _Grouping:
    """Pieces joined to cells so far."""

    def __init__(self, pieces: Pieces, land: Territories, mpp_um: float) -> None:
        self._extents = _extents(pieces)
        self._land = land
        self._mpp_um = mpp_um
        self._cell_of = [[label] for label in range(len(pieces.depth))]

    @property
    def cells(self) -> list[list[int]]:
        """The pieces of each cell, in the order of the first."""
        return [sorted(members) for label, members in enumerate(self._cell_of) if label and min(members) == label]

    def weigh(self, link: _Link) -> None:
        """Join the cells of two linked pieces when they look like one."""
        if self._cell_of[link.a] is self._cell_of[link.b]:
            return
        joined = self._cell_of[link.a] + self._cell_of[link.b]
        if link.neck >= ONE_NUCLEUS or self._is_lobed_nucleus(link, joined) or self._is_one_outline(joined):
            for label in joined:
                self._cell_of[label] = joined

    def _is_lobed_nucleus(self, link: _Link, members: Sequence[int]) -> bool:
        extents, px_um2 = [self._extents[m] for m in members], self._mpp_um**2
        if min(self._extents[link.a].count, self._extents[link.b].count) * px_um2 > LOBE_UM2:
            return False
        across_px = max(a.across_px(b) for i, a in enumerate(extents) for b in extents[i + 1 :])
        return across_px * self._mpp_um <= SPREAD_UM

    def _is_one_outline(self, members: Sequence[int]) -> bool:
        """Tell whether the members' joint territory has the outline of one cell."""
        member = np.zeros(len(self._cell_of), np.uint8)
        member[members] = 1
        territory = member[self._land.labels[self._land.joint(members)]]
        contours, _ = cv2.findContours(territory, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline = max(contours, key=cv2.contourArea)
        hull = cv2.convexHull(outline)
        short_px, long_px = sorted(cv2.minAreaRect(hull)[1])
        return bool(
            cv2.contourArea(outline) >= BODY_SOLIDITY * cv2.contourArea(hull)
            and long_px <= BODY_ASPECT * short_px
            and long_px * self._mpp_um <= BODY_UM
        )


def group_pieces(pieces: Pieces, land: Territories, mpp_um: float) -> list[list[int]]:
    """Return the pieces of each cell, sorted; every piece is in one cell."""
    grouping = _Grouping(pieces, land, mpp_um)
    links = {**_across_gaps(land, GAP_UM / mpp_um), **_at_necks(pieces)}
    for link in sorted(links.values(), key=lambda link: link.order):
        grouping.weigh(link)
    return grouping.cells


def _extents(pieces: Pieces) -> list[_Extent]:
    """Return the extents of labels 0 (empty) to n."""
    rows, columns = np.nonzero(pieces.labels != 0)
    labels, number = pieces.labels[rows, columns], len(pieces.depth)
    # Sums of whole numbers below 2^53 are exact in the floats that bincount returns.
    counts = np.bincount(labels, minlength=number).tolist()
    sums_x = np.bincount(labels, weights=columns, minlength=number).tolist()
    sums_y = np.bincount(labels, weights=rows, minlength=number).tolist()
    return [_Extent(count=n, sum_x=int(x), sum_y=int(y)) for n, x, y in zip(counts, sums_x, sums_y, strict=True)]


def _at_necks(pieces: Pieces) -> dict[tuple[int, int], _Link]:
    depth = pieces.depth.tolist()
    return {
        (a, b): _Link(gap_px=0.0, neck=width / min(depth[a], depth[b]), a=a, b=b)
        for (a, b), width in pieces.necks.items()
    }


def _across_gaps(land: Territories, gap_px: float) -> Mapping[tuple[int, int], _Link]:
    """Return links between pieces whose territories meet at most `gap_px` of cytoplasm apart."""
    width = land.labels.shape[1]
    owner, distance = land.labels.ravel(), land.distance_px.ravel()
    close = np.flatnonzero((owner != 0) & (distance <= gap_px / 2 + 1))
    gaps: dict[tuple[int, int], float] = {}
    for offset in (1, width):
        here = close[close + offset < owner.size]
        there = here + offset
        meet = (owner[there] != 0) & (owner[here] != owner[there])
        here, there = here[meet], there[meet]
        ends = np.sort(np.stack([owner[here], owner[there]], axis=1), axis=1).tolist()
        for (a, b), gap in zip(ends, (distance[here] + distance[there]).tolist(), strict=True):
            if gap <= gaps.get((a, b), gap_px):
                gaps[a, b] = gap
    return {(a, b): _Link(gap_px=gap, neck=0.0, a=a, b=b) for (a, b), gap in gaps.items()}
