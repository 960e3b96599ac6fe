"""Lymphoblasts, lymphocytes and plasma cells."""

from __future__ import annotations

import numpy as np

from worker.drawing import chromatin
from worker.drawing.granules import strewn
from worker.drawing.grid import Field, Grid, smoothstep
from worker.drawing.shapes import Point, blob, capsule, polar, without
from worker.drawing.sketch import Sketch, compose, deeper_at_rim, mottled, within
from worker.drawing.stain import Dye

Rng = np.random.Generator


def lymphoblast(rng: Rng, px_um: float) -> Sketch:
    """Draw a lymphoblast: 11-16 µm, nucleus nearly filling it, dusty chromatin, faint nucleoli, scant blue rim."""
    radius = float(rng.uniform(5.4, 8.0))
    grid = Grid.square(radius * 1.4 + 1, px_um)
    turn, aspect = float(rng.uniform(0, np.pi)), float(rng.uniform(1.0, 1.22))
    cell = blob(grid, rng, radius_um=radius, aspect=aspect, angle=turn, wobble=0.06)
    share = float(rng.uniform(0.8, 0.92))
    at = polar(radius * (1 - share**0.5) * float(rng.uniform(0.2, 0.8)), float(rng.uniform(0, 2 * np.pi)))
    core = blob(grid, rng, at=at, radius_um=radius * share**0.5, aspect=aspect, angle=turn, wobble=0.05)
    core = _cleft(grid, rng, core, radius) if rng.random() < 0.3 else core
    core = within(core, cell, margin_um=0.15)
    dense = float(rng.uniform(0.66, 0.86)) * chromatin.fine(grid, rng, contrast=float(rng.uniform(0.08, 0.15)))
    spots = _spots(rng, at, radius * 0.5, count=int(rng.choice([0, 1, 2], p=[0.2, 0.45, 0.35])))
    dense = dense * chromatin.nucleoli(grid, spots, depth=float(rng.uniform(0.1, 0.26)))
    rna = mottled(grid, rng, float(rng.uniform(0.45, 0.85))) * deeper_at_rim(cell, by=0.3)
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense * chromatin.rimmed(core, strength=0.1),
        cytoplasm={Dye.RNA: rna},
    )


def lymphocyte(rng: Rng, px_um: float) -> Sketch:
    """Draw a lymphocyte: 7.5-10 µm (a fifth larger with more cytoplasm), round dense clumped nucleus."""
    large = rng.random() < 0.2
    radius = float(rng.uniform(5.2, 6.4) if large else rng.uniform(3.9, 5.1))
    grid = Grid.square(radius * 1.4 + 1, px_um)
    turn = float(rng.uniform(0, np.pi))
    cell = blob(grid, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 1.2)), angle=turn, wobble=0.07)
    share = float(rng.uniform(0.42, 0.6) if large else rng.uniform(0.64, 0.86))
    inner = radius * share**0.5
    at = polar((radius - inner) * float(rng.uniform(0.2, 0.9)), float(rng.uniform(0, 2 * np.pi)))
    core = blob(grid, rng, at=at, radius_um=inner, aspect=float(rng.uniform(1.0, 1.15)), angle=turn, wobble=0.05)
    if rng.random() < 0.2:
        core = without(core, _notch(grid, rng, at, inner), blend_um=0.3)
    core = within(core, cell, margin_um=0.15)
    dense = float(rng.uniform(1.05, 1.25)) * chromatin.clumped(grid, rng, scale_um=1.4, contrast=0.2)
    rna = mottled(grid, rng, float(rng.uniform(0.3, 0.55))) * deeper_at_rim(cell, by=0.25)
    granules = strewn(grid, rng, smoothstep(cell, 0.0, -0.4), count=6 if large else 0, radius_um=(0.15, 0.25))
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense * chromatin.rimmed(core, strength=0.08),
        cytoplasm={Dye.RNA: rna, Dye.AZURE: 0.6 * granules},
    )


def plasma_cell(rng: Rng, px_um: float) -> Sketch:
    """Draw a plasma cell: 12-19 µm oval, round eccentric clock-face nucleus, deep-blue cytoplasm, pale hof."""
    radius, aspect = float(rng.uniform(6.3, 8.6)), float(rng.uniform(1.1, 1.5))
    grid = Grid.square(radius * 1.6 + 1, px_um)
    turn = float(rng.uniform(0, 2 * np.pi))
    cell = blob(grid, rng, radius_um=radius, aspect=aspect, angle=turn, wobble=0.07)
    inner = float(rng.uniform(3.5, 4.5))
    offset = radius * aspect**0.5 - inner - float(rng.uniform(0.4, 1.4))
    at = polar(offset, turn)
    core = blob(grid, rng, at=at, radius_um=inner, aspect=float(rng.uniform(1.0, 1.14)), angle=turn, wobble=0.03)
    core = within(core, cell, margin_um=0.25)
    face = chromatin.clock_face(grid, rng, at=at, radius_um=inner, contrast=float(rng.uniform(0.22, 0.36)))
    dense = float(rng.uniform(0.98, 1.15)) * face * chromatin.rimmed(core, strength=0.12)
    blue = float(rng.uniform(0.75, 1.3))
    rna = mottled(grid, rng, blue, contrast=0.14) * _hof(grid, rng, at, inner, turn) * deeper_at_rim(cell, by=0.25)
    if rng.random() < 0.35:
        holes = strewn(grid, rng, smoothstep(cell, -0.8, -1.2), count=int(rng.integers(2, 9)), radius_um=(0.3, 0.6))
        rna = rna * (1 - 0.6 * holes)
    pink = 0.35 * blue * (1 - _hof(grid, rng, at, inner, turn))
    return compose(cell_um=cell, nucleus_um=core, chromatin=dense, cytoplasm={Dye.RNA: rna, Dye.EOSIN: pink})


def _hof(grid: Grid, rng: Rng, at: Point, inner_um: float, turn: float) -> Field:
    """Return the factor that pales the Golgi zone, beside the nucleus on the side of the cell's middle."""
    reach = inner_um + float(rng.uniform(0.0, 0.5))
    spot_x, spot_y = at[0] - reach * np.cos(turn), at[1] - reach * np.sin(turn)
    zone = np.exp(-np.square(grid.radius_um(float(spot_x), float(spot_y)) / np.float32(rng.uniform(1.6, 2.2))))
    paler: Field = 1 - np.float32(rng.uniform(0.5, 0.75)) * zone
    return paler


def _cleft(grid: Grid, rng: Rng, core: Field, radius_um: float) -> Field:
    """Take a thin fold out of a blast's nucleus."""
    angle = float(rng.uniform(0, 2 * np.pi))
    inner = polar(radius_um * float(rng.uniform(0.35, 0.65)), angle)
    fold = capsule(grid, inner, polar(radius_um * 1.3, angle + float(rng.uniform(-0.2, 0.2))), 0.12)
    return without(core, fold, blend_um=0.2)


def _notch(grid: Grid, rng: Rng, at: Point, inner_um: float) -> Field:
    """Return the bay of a slightly indented nucleus."""
    dx, dy = polar(inner_um * 1.25, float(rng.uniform(0, 2 * np.pi)))
    return grid.radius_um(at[0] + dx, at[1] + dy) - np.float32(inner_um * 0.5)


def _spots(rng: Rng, about: Point, reach_um: float, *, count: int) -> list[tuple[Point, float]]:
    """Return nucleoli: centres within `reach_um` of a point, and radii."""
    spots = []
    for _ in range(count):
        dx, dy = polar(reach_um * float(rng.uniform(0.1, 1.0)), float(rng.uniform(0, 2 * np.pi)))
        spots.append(((about[0] + dx, about[1] + dy), float(rng.uniform(0.7, 1.25))))
    return spots
