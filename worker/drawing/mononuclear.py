"""Monocytes, blasts that are not lymphoid, erythroblasts and megakaryocytes."""

from __future__ import annotations

import numpy as np

from worker.drawing import chromatin
from worker.drawing.granules import dust, strewn
from worker.drawing.grid import Grid, smoothstep
from worker.drawing.shapes import arc, blob, capsule, chain, polar, union
from worker.drawing.sketch import Sketch, compose, deeper_at_rim, mottled, within
from worker.drawing.stain import Dye

Rng = np.random.Generator


def monocyte(rng: Rng, px_um: float) -> Sketch:
    """Draw a monocyte: 14-19 µm, kidney or horseshoe nucleus, lacy chromatin, grey-blue cytoplasm, vacuoles."""
    radius = float(rng.uniform(7.0, 9.4))
    grid = Grid.square(radius * 1.4 + 1, px_um)
    cell = blob(
        grid, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 1.3)), angle=float(rng.uniform(0, 3)), wobble=0.1
    )
    start, sweep = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(1.5, 3.0))
    bent = grid.warped(rng, by_um=0.5, scale_um=3.0)
    points = [(x * 0.9, y) for x, y in arc(radius * 0.4, start, sweep, 6)]
    core = within(chain(bent, points, radius * float(rng.uniform(0.38, 0.46))), cell, margin_um=0.4)
    holes = strewn(
        grid,
        rng,
        smoothstep(core, 0.5, 0.9) * smoothstep(cell, -0.6, -1.0),
        count=int(rng.integers(0, 9)),
        radius_um=(0.3, 0.8),
    )
    grain = dust(grid, rng, scale_um=0.4, share=0.3)
    clear = 1 - 0.8 * holes
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=float(rng.uniform(0.78, 0.95)) * chromatin.lacy(grid, rng, contrast=0.28),
        cytoplasm={
            Dye.RNA: mottled(grid, rng, float(rng.uniform(0.3, 0.5)), contrast=0.15) * clear,
            Dye.EOSIN: mottled(grid, rng, float(rng.uniform(0.25, 0.45))) * clear,
            Dye.AZURE: 0.12 * grain * clear,
        },
    )


def blast_other(rng: Rng, px_um: float) -> Sketch:
    """Draw a myeloid blast: 14-19 µm, fine chromatin, 2-4 clear nucleoli, more cytoplasm, a few granules or a rod."""
    radius = float(rng.uniform(7.0, 9.3))
    grid = Grid.square(radius * 1.4 + 1, px_um)
    turn, aspect = float(rng.uniform(0, np.pi)), float(rng.uniform(1.0, 1.25))
    cell = blob(grid, rng, radius_um=radius, aspect=aspect, angle=turn, wobble=0.08)
    inner = radius * float(rng.uniform(0.58, 0.7)) ** 0.5
    aim = float(rng.uniform(0, 2 * np.pi))
    at = polar((radius - inner) * float(rng.uniform(0.4, 0.95)), aim)
    core = within(blob(grid, rng, at=at, radius_um=inner, aspect=aspect, angle=turn, wobble=0.05), cell, margin_um=0.3)
    spots = []
    for _ in range(int(rng.integers(2, 5))):
        dx, dy = polar(inner * float(rng.uniform(0.2, 0.65)), float(rng.uniform(0, 2 * np.pi)))
        spots.append(((at[0] + dx, at[1] + dy), float(rng.uniform(0.8, 1.4))))
    dense = float(rng.uniform(0.6, 0.78)) * chromatin.fine(grid, rng, contrast=0.08)
    dense = dense * chromatin.nucleoli(grid, spots, depth=float(rng.uniform(0.24, 0.38)))
    grains = strewn(grid, rng, smoothstep(cell, -0.2, -0.6), count=int(rng.integers(0, 14)), radius_um=(0.15, 0.28))
    if rng.random() < 0.15:
        x_um, y_um = polar((radius + inner) / 2 * 0.9, aim + np.pi)
        dx, dy = polar(1.6, aim + np.pi / 2)
        rod = capsule(grid, (x_um - dx, y_um - dy), (x_um + dx, y_um + dy), 0.16)
        grains = np.maximum(grains, smoothstep(rod, 0.15, -0.15))
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense * chromatin.rimmed(core, strength=0.1),
        cytoplasm={Dye.RNA: mottled(grid, rng, float(rng.uniform(0.35, 0.65))) * deeper_at_rim(cell, by=0.35)},
        above={Dye.AZURE: 0.55 * grains},
    )


def erythroblast(rng: Rng, px_um: float) -> Sketch:
    """Draw an erythroblast: 8-13 µm, small round nucleus, near black when ripe, blue-grey to pink cytoplasm."""
    age = float(rng.beta(1.6, 1.2))  # 0: early polychromatic, 1: orthochromatic
    radius = float(rng.uniform(5.4, 6.5) - 1.4 * age)
    grid = Grid.square(radius * 1.4 + 1, px_um)
    cell = blob(
        grid, rng, radius_um=radius, aspect=float(rng.uniform(1.0, 1.18)), angle=float(rng.uniform(0, 3)), wobble=0.08
    )
    inner = radius * float(rng.uniform(0.46, 0.58) - 0.2 * age) ** 0.5
    at = polar((radius - inner) * float(rng.uniform(0.1, 0.8)), float(rng.uniform(0, 2 * np.pi)))
    core = within(blob(grid, rng, at=at, radius_um=inner, aspect=1.03, wobble=0.02), cell, margin_um=0.15)
    contrast = 0.3 * (1 - age) + 0.03
    dense = (1.12 + 0.38 * age) * chromatin.clumped(grid, rng, scale_um=1.3, contrast=contrast)
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense,
        cytoplasm={
            Dye.RNA: mottled(grid, rng, 0.72 - 0.52 * age) * deeper_at_rim(cell, by=0.2),
            Dye.HAEM: mottled(grid, rng, 0.25 + 0.6 * age, contrast=0.06),
        },
    )


def megakaryocyte(rng: Rng, px_um: float) -> Sketch:
    """Draw a megakaryocyte: 35-60 µm, heaped lobes, wide pink granular cytoplasm with a ragged edge."""
    radius = float(rng.uniform(17.0, 29.0))
    grid = Grid.square(radius * 1.45 + 1, px_um)
    cell = blob(
        grid.warped(rng, by_um=0.9, scale_um=3.5),
        rng,
        radius_um=radius,
        aspect=float(rng.uniform(1.0, 1.3)),
        wobble=0.08,
    )
    bent = grid.warped(rng, by_um=0.9, scale_um=5.0)
    count = int(rng.integers(5, 10))
    centres = [polar(radius * float(rng.uniform(0.12, 0.42)), a) for a in rng.uniform(0, 2 * np.pi, count)]
    lobes = [blob(bent, rng, at=at, radius_um=radius * float(rng.uniform(0.17, 0.25))) for at in centres]
    core = within(union([*lobes, chain(bent, centres, radius * 0.12)], blend_um=0.6), cell, margin_um=1.0)
    grain = dust(grid, rng, scale_um=0.6, share=0.4)
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=float(rng.uniform(0.85, 1.05)) * chromatin.clumped(grid, rng, scale_um=1.8, contrast=0.16),
        cytoplasm={
            Dye.EOSIN: mottled(grid, rng, float(rng.uniform(0.6, 0.9)), contrast=0.14),
            Dye.RNA: mottled(grid, rng, float(rng.uniform(0.12, 0.25)), contrast=0.2),
            Dye.AZURE: 0.16 * grain,
        },
        edge_um=0.8,
    )
