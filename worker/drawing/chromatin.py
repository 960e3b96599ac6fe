"""How densely a nucleus stains, pixel by pixel: factors about 1 for Dye.CHROMATIN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.drawing.grid import Field, Grid, f32, smoothstep
from worker.drawing.shapes import Point


def _gaps(grid: Grid, rng: np.random.Generator, scale_um: float) -> Field:
    """Return 0..1: the small light holes between strands that every spread nucleus shows."""
    return smoothstep(grid.noise(rng, scale_um), 0.5, 1.7)


def fine(grid: Grid, rng: np.random.Generator, *, contrast: float = 0.1) -> Field:
    """Return the even, dusty chromatin of blasts."""
    texture = 0.8 * grid.noise(rng, 0.5) + 0.6 * grid.noise(rng, 1.2)
    return f32(1.0 + np.float32(contrast) * (texture - 0.8 * _gaps(grid, rng, 0.6)))


def clumped(grid: Grid, rng: np.random.Generator, *, scale_um: float, contrast: float) -> Field:
    """Return blocks of dense chromatin between paler gaps."""
    blocks = smoothstep(grid.noise(rng, scale_um), -0.9, 0.9) - 0.5
    dust = grid.noise(rng, 0.55)
    return f32(1.0 + np.float32(contrast) * (1.7 * blocks + 0.3 * dust - 0.9 * _gaps(grid, rng, 0.8)))


def lacy(grid: Grid, rng: np.random.Generator, *, contrast: float) -> Field:
    """Return the folded strands of monocytes: ridges where a smooth field crosses zero."""
    strands = np.exp(-np.square(grid.noise(rng, 1.5) * 2.2)) - 0.45
    return f32(1.0 + np.float32(contrast) * (strands + 0.35 * grid.noise(rng, 0.6) - 0.6 * _gaps(grid, rng, 0.9)))


def clock_face(grid: Grid, rng: np.random.Generator, *, at: Point, radius_um: float, contrast: float) -> Field:
    """Return the clumps of a plasma cell's nucleus, spaced like the hours about its rim."""
    bent = grid.warped(rng, by_um=0.3, scale_um=1.6)
    dx, dy = bent.x_um - np.float32(at[0]), bent.y_um - np.float32(at[1])
    hours = int(rng.integers(5, 9))
    spokes = np.cos(hours * np.arctan2(dy, dx) + np.float32(rng.uniform(0, 2 * np.pi)))
    from_rim = np.exp(-np.square((np.hypot(dx, dy) / np.float32(radius_um) - 0.72) / 0.24))
    blocks = smoothstep(0.9 * spokes * from_rim + 0.55 * grid.noise(rng, 1.2), -0.7, 0.7) - 0.5
    return f32(1.0 + np.float32(contrast) * (1.7 * blocks - 0.5 * _gaps(grid, rng, 0.7)))


def nucleoli(grid: Grid, spots: Sequence[tuple[Point, float]], *, depth: float) -> Field:
    """Return the factor by which nucleoli (centre, radius in µm) pale the chromatin over them."""
    pale = np.zeros(grid.shape, np.float32)
    for (x_um, y_um), radius_um in spots:
        distance = grid.radius_um(x_um, y_um) - np.float32(radius_um)
        core = smoothstep(distance, 0.35, -0.35)
        ring = np.exp(-np.square((distance - 0.25) / 0.3))
        pale = np.maximum(pale, core) - np.float32(0.35) * ring * (1 - core)
    return f32(1.0 - np.float32(depth) * pale)


def rimmed(nucleus_um: Field, *, strength: float) -> Field:
    """Return the darker line of the nuclear membrane, from the signed distance of the nucleus."""
    return f32(1.0 + np.float32(strength) * np.exp(-np.square((nucleus_um + 0.3) / 0.35)))
