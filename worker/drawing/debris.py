"""What lies between nucleated cells: platelets, smudge cells, stain deposit and red cells."""

from __future__ import annotations

import numpy as np

from worker.drawing.granules import strewn
from worker.drawing.grid import Field, Grid, smoothstep
from worker.drawing.shapes import blob, cover
from worker.drawing.sketch import Sketch, mottled
from worker.drawing.stain import Dye

Rng = np.random.Generator


def platelet(rng: Rng, px_um: float) -> Sketch:
    """Draw a platelet: 1.6-3.6 µm, violet granules in a pale-blue rim."""
    radius = float(rng.uniform(1.0, 2.1))
    grid = Grid.square(radius * 1.6 + 1, px_um)
    cell = blob(
        grid, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 1.5)), angle=float(rng.uniform(0, 3)), wobble=0.14
    )
    inside = cover(cell, 0.3)
    middle = smoothstep(cell, -0.1, -radius * 0.7)
    grains = strewn(grid, rng, middle, count=int(8 * radius**2), radius_um=(0.15, 0.3))
    violet = float(rng.uniform(0.12, 0.4)) * middle + 0.45 * grains
    return Sketch(
        cell_um=cell,
        nucleus_um=None,
        inks={Dye.RNA: float(rng.uniform(0.15, 0.35)) * inside, Dye.AZURE: (violet * inside).astype(np.float32)},
    )


def smudge(rng: Rng, px_um: float) -> Sketch:
    """Draw a smudge cell: a burst nucleus smeared to pale red-violet strands without cytoplasm."""
    radius = float(rng.uniform(5.5, 9.5))
    grid = Grid.square(radius * 1.9 + 1, px_um)
    bent = grid.warped(rng, by_um=1.5, scale_um=4.0).warped(rng, by_um=0.5, scale_um=1.2)
    cell = blob(
        bent, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 1.7)), angle=float(rng.uniform(0, 3)), wobble=0.14
    )
    strands = np.exp(-np.square(bent.noise(rng, 1.8) * 0.9))
    dense = float(rng.uniform(0.32, 0.55)) * (0.6 + 0.55 * strands + 0.14 * grid.noise(rng, 0.5))
    thin = smoothstep(cell, 0.8, -radius * 0.5)
    return Sketch(
        cell_um=cell,
        nucleus_um=cell,
        inks={
            Dye.CHROMATIN: (0.85 * dense * thin).astype(np.float32),
            Dye.AZURE: (0.2 * dense * thin).astype(np.float32),
        },
    )


def deposit(rng: Rng, px_um: float) -> Sketch:
    """Draw stain deposit: a clutter of near-black grains, 2-12 µm across."""
    radius = float(rng.uniform(1.2, 6.0))
    grid = Grid.square(radius * 1.7 + 1, px_um)
    cell = blob(
        grid, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 2.2)), angle=float(rng.uniform(0, 3)), wobble=0.2
    )
    inside = cover(cell, 0.6)
    clumps = smoothstep(grid.noise(rng, float(rng.uniform(0.9, 2.0))), -0.1, 0.9) * inside
    grains = strewn(grid, rng, inside, count=int(3.5 * radius**2) + 3, radius_um=(0.15, 0.45))
    return Sketch(
        cell_um=cell,
        nucleus_um=None,
        inks={Dye.AZURE: np.maximum(grains, 0.9 * clumps) * np.float32(rng.uniform(0.8, 1.5))},
    )


def red_cell(rng: Rng, px_um: float) -> Sketch:
    """Draw a red cell: 6.4-8.2 µm, pale in the middle, now and then bent or without pallor."""
    radius = float(np.clip(rng.normal(3.65, 0.22), 3.0, 4.4))
    grid = Grid.square(radius * 1.45 + 1, px_um)
    aspect = 1.0 + float(rng.gamma(1.4, 0.06))
    cell = blob(grid, rng, radius_um=radius, aspect=aspect, angle=float(rng.uniform(0, np.pi)), wobble=0.05)
    pallor = 0.0 if rng.random() < 0.15 else float(rng.uniform(0.35, 0.85))
    hollow = smoothstep(cell, -radius * float(rng.uniform(0.25, 0.4)), -radius * float(rng.uniform(0.6, 0.8)))
    body = cover(cell, 0.5) * (1 - np.float32(pallor) * hollow)
    brim = 1 + np.float32(0.12) * np.exp(-np.square((cell + 0.7) / 0.6))
    haem: Field = mottled(grid, rng, float(rng.uniform(0.75, 1.15)), contrast=0.02) * body * brim
    return Sketch(cell_um=cell, nucleus_um=None, inks={Dye.HAEM: haem})
