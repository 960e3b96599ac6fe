"""Where nucleated cells lie: alone or in touching clumps, never nucleus on nucleus, whole inside the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.drawing.cells import CellSprite
from worker.drawing.grid import Bitmap
from worker.errors import BadRequestError

PAIRS_AND_TRIPLES: Mapping[int, float] = MappingProxyType({2: 0.7, 3: 0.3})
"""Cells per clump and how often each number comes up, as in a smear that is spread well."""

_TRIES = 600
"""Random places tried for one clump before the field counts as full."""

_TOUCH_PX = 4
"""Pixels of cytoplasm that touching cells share at least."""

_DIRECTIONS = 12
"""Ways tried from which a further cell may come to a clump."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """A sprite with the whole pixel of the field (or clump) that its top left corner takes."""

    sprite: CellSprite
    left: int
    top: int
    touching: bool = False  # one of a clump

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle of the sprite's box."""
        height, width = self.sprite.cell.shape
        return self.left + width / 2, self.top + height / 2

    @property
    def radius_px(self) -> float:
        """Distance from the middle of the box to the farthest pixel of the cell."""
        rows, cols = np.nonzero(self.sprite.alpha > 0)
        height, width = self.sprite.alpha.shape
        return float(np.hypot(rows + 0.5 - height / 2, cols + 0.5 - width / 2).max()) + 0.75

    def moved(self, dx: int, dy: int) -> Laid:
        """Return the sprite laid elsewhere."""
        return replace(self, left=self.left + dx, top=self.top + dy)


def clumped(
    rng: np.random.Generator,
    sprites: Sequence[CellSprite],
    touching: float,
    sizes: Mapping[int, float] = PAIRS_AND_TRIPLES,
) -> list[tuple[Laid, ...]]:
    """Split sprites into clumps until a share `touching` of them lies in one; the rest lie alone.

    Args:
        sizes: cells per clump, with weights; a rest of such a size is one clump, a smaller one lies alone.
    """
    order = [sprites[i] for i in rng.permutation(len(sprites))]
    to_join = round(touching * len(order))
    clumps = []
    while to_join >= min(sizes):
        size = _size(rng, to_join, sizes)
        clumps.append(_joined(rng, [order.pop() for _ in range(size)]))
        to_join -= size
    return [*clumps, *((Laid(sprite=sprite, left=0, top=0),) for sprite in order)]


def placed(
    rng: np.random.Generator, clumps: Sequence[tuple[Laid, ...]], size_px: tuple[int, int], *, gap_px: float
) -> list[Laid]:
    """Lay clumps in a (width, height) field, `gap_px` apart and from its border.

    Raises BadRequestError when the field is too small for them.
    """
    discs = sorted((_disc(clump) for clump in clumps), key=lambda disc: -disc[1])
    centres = np.empty((len(discs), 2))
    radii = np.array([radius for _, radius in discs])
    laid: list[Laid] = []
    for index, (clump, radius) in enumerate(discs):
        near = radii[:index] + radius + gap_px
        centres[index] = _free_place(rng, centres[:index], near, size_px, radius + gap_px)
        dx, dy = (int(v) for v in np.round(centres[index]))
        centres[index] = dx, dy
        laid.extend(one.moved(dx, dy) for one in clump)
    return laid


def _size(rng: np.random.Generator, to_join: int, sizes: Mapping[int, float]) -> int:
    """Draw how many of the cells left to join are the next clump."""
    if to_join in sizes:
        return to_join
    fitting = [size for size in sorted(sizes, reverse=True) if size <= to_join]
    ends = np.cumsum([sizes[size] for size in fitting])
    return fitting[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]


def _free_place(
    rng: np.random.Generator,
    taken: NDArray[np.float64],
    near: NDArray[np.float64],
    size_px: tuple[int, int],
    border: float,
) -> NDArray[np.float64]:
    """Return a random point at least `near` from the taken ones and `border` from the field's edge."""
    low, high = np.full(2, border + 1), np.array(size_px) - border - 1
    if (low < high).all():
        tries = rng.uniform(low, high, (_TRIES, 2))
        for point in tries:
            offsets = taken - point
            if (np.einsum("ij,ij->i", offsets, offsets) >= near * near).all():
                return np.asarray(point)
    raise BadRequestError(f"the cells do not fit into {size_px[0]} x {size_px[1]} px: draw fewer or a larger field")


def _disc(clump: tuple[Laid, ...]) -> tuple[tuple[Laid, ...], float]:
    """Return the clump moved so that its middle is the origin, and the radius about it that holds it all."""
    x_px = round(float(np.mean([one.centre[0] for one in clump])))
    y_px = round(float(np.mean([one.centre[1] for one in clump])))
    moved = tuple(one.moved(-x_px, -y_px) for one in clump)
    return moved, max(float(np.hypot(*one.centre)) + one.radius_px for one in moved)


def _joined(rng: np.random.Generator, sprites: Sequence[CellSprite]) -> tuple[Laid, ...]:
    """Push sprites against each other until their cytoplasm touches."""
    clump = [Laid(sprite=sprites[0], left=0, top=0, touching=True)]
    angle = float(rng.uniform(0, 2 * np.pi))
    for sprite in sprites[1:]:
        angle, laid = _added(clump, sprite, angle)
        clump.append(laid)
        angle += float(rng.choice([-1, 1])) * float(rng.uniform(0.8, 2.0))
    return tuple(clump)


def _added(clump: Sequence[Laid], sprite: CellSprite, angle: float) -> tuple[float, Laid]:
    """Push a sprite against the last of a clump, from the next free direction where others are in the way."""
    for turn in range(_DIRECTIONS):
        turned = angle + 2 * np.pi * turn / _DIRECTIONS
        laid = _pushed(clump, sprite, turned)
        if laid is not None:
            return turned, laid
    raise BadRequestError("a nucleus wider than its cell cannot be laid beside others")


def _pushed(clump: Sequence[Laid], sprite: CellSprite, angle: float) -> Laid | None:
    """Return the sprite at the first distance, coming from outside, where it touches; None where nuclei would meet."""
    height, width = sprite.cell.shape
    anchor_x, anchor_y = clump[-1].centre
    far = round(clump[-1].radius_px + float(np.hypot(height, width)) / 2) + 2
    best: Laid | None = None
    for distance in range(far, 0, -1):
        x_px, y_px = anchor_x + distance * np.cos(angle), anchor_y + distance * np.sin(angle)
        here = Laid(sprite=sprite, left=round(x_px - width / 2), top=round(y_px - height / 2), touching=True)
        if not all(_nuclei_clear(other, here) for other in clump):
            break
        best = here
        if max(_shared(a.sprite.cell, b.sprite.cell, a, b) for a, b in ((o, here) for o in clump)) >= _TOUCH_PX:
            break
    return best


def _nuclei_clear(first: Laid, second: Laid) -> bool:
    """Tell whether no nucleus, grown by a pixel, meets the other cell's nucleus, and none is painted over."""
    grown = cv2.dilate(first.sprite.nucleus.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    covered = _shared(first.sprite.nucleus, second.sprite.alpha > 0, first, second)
    return covered == 0 and _shared(grown, second.sprite.nucleus, first, second) == 0


def _shared(mask: Bitmap, other: Bitmap, first: Laid, second: Laid) -> int:
    """Count the pixels that two laid masks have in common."""
    top, left = max(first.top, second.top), max(first.left, second.left)
    bottom = min(first.top + mask.shape[0], second.top + other.shape[0])
    right = min(first.left + mask.shape[1], second.left + other.shape[1])
    if top >= bottom or left >= right:
        return 0
    mine = mask[top - first.top : bottom - first.top, left - first.left : right - first.left]
    theirs = other[top - second.top : bottom - second.top, left - second.left : right - second.left]
    return int(np.count_nonzero(mine & theirs))
