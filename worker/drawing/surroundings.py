"""What surrounds the nucleated cells of a smear: red cells, platelets and stain deposit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from db.records import CellClass
from worker.drawing.cells import RedCellSprite, draw_cell, draw_red_cell
from worker.drawing.field import lay_red_cell
from worker.drawing.grid import Pixels, smooth_noise
from worker.drawing.placement import Laid
from worker.drawing.scatter import Points, clear_of, scattered
from worker.drawing.stain import Stain

_KINDS = 48
"""Red cells drawn per smear; each is laid many times, turned and mirrored."""

_APART_UM = 6.4
"""Red cells of a thin film lie about side by side."""

_OVERLAP = 0.18
"""Share of the closer pairs that stay and overlap."""

Rng = np.random.Generator


def pour_red_cells(
    canvas: Pixels, rng: Rng, *, per_mm2: float, mpp_um: float, stain: Stain, around: Sequence[Laid]
) -> None:
    """Lay red cells on a field, thicker here and thinner there, beside the nucleated cells."""
    height, width = canvas.shape[:2]
    margin = 4.5 / mpp_um
    area_mm2 = (width + 2 * margin) * (height + 2 * margin) * (mpp_um / 1000) ** 2
    count = int(rng.poisson(per_mm2 * area_mm2))
    points = scattered(rng, (width, height), count, apart=_APART_UM / mpp_um, tolerance=_OVERLAP, margin=margin)
    points = _beside(_thinned(rng, points, (height, width), mpp_um), around, 2.4 / mpp_um)
    stock = _stock(rng, mpp_um, stain)
    for (x_px, y_px), kind in zip(points, rng.integers(len(stock), size=len(points)), strict=True):
        lay_red_cell(canvas, stock[kind], x_px, y_px)


def strew_small(
    rng: Rng,
    *,
    kind: CellClass,
    per_mm2: float,
    size_px: tuple[int, int],
    mpp_um: float,
    stain: Stain,
    around: Sequence[Laid],
) -> list[Laid]:
    """Return platelets or deposits at random places (width, height), clear of the nucleated cells and the border."""
    width, height = size_px
    count = int(rng.poisson(per_mm2 * width * height * (mpp_um / 1000) ** 2))
    sprites = [draw_cell(kind, rng, mpp_um=mpp_um, stain=stain) for _ in range(count)]
    reach = max((max(sprite.cell.shape) for sprite in sprites), default=1) / 2 + 1
    if reach * 2 >= min(width, height):
        return []
    points = rng.uniform([reach, reach], [width - reach, height - reach], (count, 2))
    free = _beside(points, around, reach)
    return [
        Laid(sprite=s, left=round(x - s.cell.shape[1] / 2), top=round(y - s.cell.shape[0] / 2))
        for s, (x, y) in zip(sprites, free, strict=False)
    ]


def _beside(points: Points, around: Sequence[Laid], reach_px: float) -> Points:
    """Return the points that lie farther than `reach_px` from the edge of every laid cell, taken as a disc."""
    centres = np.array([laid.centre for laid in around]).reshape(-1, 2)
    radii = np.array([laid.radius_px + reach_px for laid in around])
    return clear_of(points, centres, radii)


def _thinned(rng: Rng, points: Points, shape: tuple[int, int], mpp_um: float) -> Points:
    """Drop points where the film happens to be thin."""
    coarse = (max(2, shape[0] // 32), max(2, shape[1] // 32))
    thickness = smooth_noise(rng, coarse, max(1.5, 160.0 / mpp_um / 32))
    cols = np.clip((points[:, 0] / 32).astype(int), 0, coarse[1] - 1)
    rows = np.clip((points[:, 1] / 32).astype(int), 0, coarse[0] - 1)
    keep = np.clip(0.85 + 0.3 * thickness[rows, cols], 0.1, 1.0)
    return np.asarray(points[rng.random(len(points)) < keep])


def _stock(rng: Rng, mpp_um: float, stain: Stain) -> list[RedCellSprite]:
    """Return red cells to choose from, each as drawn and in three turned or mirrored copies."""
    drawn = [draw_red_cell(rng, mpp_um=mpp_um, stain=stain).passed for _ in range(_KINDS)]
    turns = [t for one in drawn for t in (one, one[::-1], one[:, ::-1], one.transpose(1, 0, 2))]
    return [RedCellSprite(passed=np.ascontiguousarray(turn)) for turn in turns]
