"""Granules and vacuoles: round spots strewn over a cell."""

from __future__ import annotations

import cv2
import numpy as np

from worker.drawing.grid import Field, Grid

_SHIFT = 4
"""Bits of sub-pixel precision in OpenCV's integer coordinates."""


def strewn(
    grid: Grid,
    rng: np.random.Generator,
    within: Field,
    *,
    count: int,
    radius_um: tuple[float, float],
) -> Field:
    """Return 0..1 coverage by `count` spots with centres where `within` (0..1) is high and radii in a range."""
    rows, cols = np.nonzero(within > 0.6)
    spots = np.zeros(grid.shape, np.uint8)
    if rows.size == 0:
        return spots.astype(np.float32)
    chosen = rng.integers(rows.size, size=count)
    jitter = rng.uniform(-0.5, 0.5, (count, 2))
    radii = rng.uniform(*radius_um, count) / grid.px_um
    levels = rng.uniform(150, 255, count)
    unit = 1 << _SHIFT
    for index, radius, level, (dx, dy) in zip(chosen, radii, levels, jitter, strict=True):
        centre = (round((cols[index] + dx) * unit), round((rows[index] + dy) * unit))
        cv2.circle(spots, centre, round(radius * unit), float(level), -1, cv2.LINE_AA, _SHIFT)
    return spots.astype(np.float32) / np.float32(255)


def dust(grid: Grid, rng: np.random.Generator, *, scale_um: float = 0.4, share: float = 0.25) -> Field:
    """Return 0..1 coverage by granules too fine to count, over about `share` of the plane."""
    noise = grid.noise(rng, scale_um)
    level = float(np.quantile(noise, 1 - share))
    faint: Field = np.clip((noise - np.float32(level)) / np.float32(0.8), 0.0, 1.0)
    return faint
