"""Outlines as signed distances in micrometres: negative inside, positive outside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from worker.drawing.grid import Field, Grid, f32, smoothstep

Point = tuple[float, float]
"""(x_um, y_um) from the middle of the grid."""


def ellipse(grid: Grid, *, at: Point, radius_um: float, aspect: float = 1.0, angle: float = 0.0) -> Field:
    """Return the distance from an ellipse with the area of a disc of `radius_um`; `aspect` is long to short."""
    long_um, short_um = radius_um * aspect**0.5, radius_um / aspect**0.5
    dx, dy = grid.x_um - np.float32(at[0]), grid.y_um - np.float32(at[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = (dx * cos + dy * sin) / np.float32(long_um)
    v = (dy * cos - dx * sin) / np.float32(short_um)
    norm = np.hypot(u, v) + np.float32(1e-4)
    slope = np.hypot(u / np.float32(long_um), v / np.float32(short_um)) / norm + np.float32(1e-4)
    return f32((norm - 1.0) / slope)


def blob(
    grid: Grid,
    rng: np.random.Generator,
    *,
    at: Point = (0.0, 0.0),
    radius_um: float,
    aspect: float = 1.0,
    angle: float = 0.0,
    wobble: float = 0.05,
) -> Field:
    """Return an ellipse whose edge wavers by about `wobble` of its radius."""
    bent = grid.warped(rng, by_um=wobble * radius_um, scale_um=radius_um * float(rng.uniform(0.7, 1.1)))
    smooth = ellipse(bent, at=at, radius_um=radius_um, aspect=aspect, angle=angle)
    return smooth + np.float32(0.2 * wobble * radius_um) * grid.noise(rng, 0.22 * radius_um)


def capsule(grid: Grid, start: Point, end: Point, radius_um: float) -> Field:
    """Return the distance from a line with round ends."""
    ax, ay = np.float32(start[0]), np.float32(start[1])
    bx, by = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    px, py = grid.x_um - ax, grid.y_um - ay
    along = np.clip((px * bx + py * by) / (bx * bx + by * by + np.float32(1e-6)), 0.0, 1.0)
    return f32(np.hypot(px - bx * along, py - by * along) - np.float32(radius_um))


def chain(grid: Grid, points: Sequence[Point], radius_um: float) -> Field:
    """Return the distance from a bent sausage through `points` (at least two)."""
    links = [capsule(grid, start, end, radius_um) for start, end in pairwise(points)]
    return union(links, blend_um=0.3)


def union(fields: Sequence[Field], *, blend_um: float) -> Field:
    """Return the union of shapes, their meeting edges rounded over about `blend_um`."""
    stack = np.stack(fields)
    nearest = stack.min(axis=0)
    summed = np.exp((nearest - stack) / np.float32(blend_um)).sum(axis=0)
    return f32(nearest - np.float32(blend_um) * np.log(summed))


def without(shape: Field, hole: Field, *, blend_um: float) -> Field:
    """Return `shape` with `hole` taken out, the new edge rounded over about `blend_um`."""
    return -union([-shape, hole], blend_um=blend_um)


def arc(radius_um: float, start: float, sweep: float, count: int) -> list[Point]:
    """Return `count` points on an arc about the origin (angles in radians)."""
    angles = start + np.linspace(0.0, sweep, count)
    return [(float(radius_um * np.cos(a)), float(radius_um * np.sin(a))) for a in angles]


def polar(radius_um: float, angle: float) -> Point:
    """Return the point at a distance and an angle (radians) from the origin."""
    return float(radius_um * np.cos(angle)), float(radius_um * np.sin(angle))


def cover(distance: Field, soft_um: float = 0.25) -> Field:
    """Return how much of each pixel a shape covers, 0 to 1, its edge `soft_um` wide."""
    return smoothstep(distance, soft_um / 2, -soft_um / 2)
