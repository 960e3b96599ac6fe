"""Neutrophils, eosinophils, basophils and their precursors."""

from __future__ import annotations

import numpy as np

from worker.drawing import chromatin
from worker.drawing.granules import dust, strewn
from worker.drawing.grid import Field, Grid, smoothstep
from worker.drawing.shapes import Point, arc, blob, capsule, chain, ellipse, polar, union, without
from worker.drawing.sketch import Sketch, compose, deeper_at_rim, mottled, within
from worker.drawing.stain import Dye

Rng = np.random.Generator


def neutrophil(rng: Rng, px_um: float) -> Sketch:
    """Draw a neutrophil: 11.5-15 µm, 2-5 lobes on bridges (a fifth: a band), pink cytoplasm with fine granules."""
    radius = float(rng.uniform(5.7, 7.3))
    grid, cell = _body(rng, px_um, radius)
    core = _band(grid, rng, radius) if rng.random() < 0.2 else _lobes(grid, rng, radius, int(rng.integers(2, 6)))
    core = within(core, cell, margin_um=0.4)
    dense = float(rng.uniform(1.0, 1.2)) * chromatin.clumped(grid, rng, scale_um=1.1, contrast=0.26)
    pink = mottled(grid, rng, float(rng.uniform(0.45, 0.8)), contrast=0.08)
    grain = dust(grid, rng, scale_um=0.35, share=0.35)
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense,
        cytoplasm={
            Dye.EOSIN: pink,
            Dye.RNA: float(rng.uniform(0.02, 0.12)),
            Dye.AZURE: float(rng.uniform(0.08, 0.22)) * grain,
        },
    )


def eosinophil(rng: Rng, px_um: float) -> Sketch:
    """Draw an eosinophil: 12-16 µm, two (rarely three) lobes, packed orange granules."""
    radius = float(rng.uniform(6.0, 7.8))
    grid, cell = _body(rng, px_um, radius)
    core = within(_lobes(grid, rng, radius, 3 if rng.random() < 0.15 else 2), cell, margin_um=0.4)
    inside = smoothstep(cell, -0.2, -0.6)
    crowd = strewn(grid, rng, inside, count=int(7 * radius**2), radius_um=(0.24, 0.42))
    depth = float(rng.uniform(0.65, 1.0))
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=float(rng.uniform(0.95, 1.15)) * chromatin.clumped(grid, rng, scale_um=1.2, contrast=0.18),
        cytoplasm={Dye.EOSINOPHIL: depth * (0.62 + 0.38 * crowd), Dye.EOSIN: 0.25, Dye.RNA: 0.06},
        above={Dye.EOSINOPHIL: 0.12 * crowd},
    )


def basophil(rng: Rng, px_um: float) -> Sketch:
    """Draw a basophil: 10-13 µm, blurred lobed nucleus under coarse violet-black granules."""
    radius = float(rng.uniform(5.0, 6.6))
    grid, cell = _body(rng, px_um, radius)
    core = within(_lobes(grid, rng, radius * 1.25, int(rng.integers(2, 4))), cell, margin_um=0.5)
    inside = smoothstep(cell, -0.1, -0.5)
    coarse = strewn(grid, rng, inside, count=int(rng.uniform(1.8, 6.5) * radius**2), radius_um=(0.22, 0.46))
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=float(rng.uniform(0.8, 0.95)) * chromatin.clumped(grid, rng, scale_um=1.4, contrast=0.1),
        cytoplasm={Dye.EOSIN: mottled(grid, rng, 0.45), Dye.RNA: 0.14},
        above={Dye.AZURE: float(rng.uniform(0.75, 1.0)) * coarse},
    )


def immature_granulocyte(rng: Rng, px_um: float) -> Sketch:
    """Draw a promyelocyte, myelocyte or metamyelocyte: 12-21 µm, fewer violet and more pink granules with age."""
    age = float(rng.choice([0.1, 0.55, 1.0], p=[0.3, 0.4, 0.3])) + float(rng.uniform(-0.1, 0.1))
    radius = float(rng.uniform(8.2, 10.2) - 2.4 * age)
    grid, cell = _body(rng, px_um, radius, aspect=1.2)
    share = float(rng.uniform(0.56, 0.68) - 0.14 * age)
    core, at = _off_centre(grid, rng, radius, share, bay=max(0.0, age - 0.45))
    core = within(core, cell, margin_um=0.3)
    dense = (0.74 + 0.26 * age) * chromatin.clumped(grid, rng, scale_um=1.0 + 0.4 * age, contrast=0.09 + 0.1 * age)
    if age < 0.3:
        dense = dense * chromatin.nucleoli(grid, [(at, 1.1)], depth=0.15)
    inside = smoothstep(cell, -0.1, -0.5)
    violet = strewn(grid, rng, inside, count=int(260 * (1.15 - age) ** 2 + 10), radius_um=(0.11, 0.24))
    return compose(
        cell_um=cell,
        nucleus_um=core,
        chromatin=dense * chromatin.rimmed(core, strength=0.08),
        cytoplasm={
            Dye.RNA: mottled(grid, rng, 0.5 - 0.36 * age) * deeper_at_rim(cell, by=0.5 * (1 - age)),
            Dye.EOSIN: mottled(grid, rng, 0.25 + 0.35 * age),
        },
        above={Dye.AZURE: 0.5 * violet + 0.12 * age * dust(grid, rng, scale_um=0.4, share=0.3)},
    )


def _body(rng: Rng, px_um: float, radius_um: float, aspect: float = 1.15) -> tuple[Grid, Field]:
    """Return a grid and the outline of a roundish cell on it."""
    grid = Grid.square(radius_um * 1.4 + 1, px_um)
    stretch, turn = float(rng.uniform(1.0, aspect)), float(rng.uniform(0, np.pi))
    return grid, blob(grid, rng, radius_um=radius_um, aspect=stretch, angle=turn, wobble=0.06)


def _lobes(grid: Grid, rng: Rng, radius_um: float, count: int) -> Field:
    """Return lobes strung on an arc by bridges; fewer lobes are larger ones."""
    sweep = {2: 2.0, 3: 3.0, 4: 4.0, 5: 4.6}[count] * float(rng.uniform(0.85, 1.1))
    ring = radius_um * float(rng.uniform(0.42, 0.52))
    bent = grid.warped(rng, by_um=0.3, scale_um=2.4)
    centres = arc(ring, float(rng.uniform(0, 2 * np.pi)), sweep, count)
    centres = [(x + float(rng.normal(0, 0.25)), y + float(rng.normal(0, 0.25))) for x, y in centres]
    size = radius_um * {2: 0.37, 3: 0.3, 4: 0.26, 5: 0.235}[count]
    lobes = [
        ellipse(
            bent,
            at=at,
            radius_um=size * float(rng.uniform(0.88, 1.12)),
            aspect=float(rng.uniform(1.0, 1.35)),
            angle=float(rng.uniform(0, np.pi)),
        )
        for at in centres
    ]
    return union([*lobes, chain(bent, centres, float(rng.uniform(0.28, 0.5)))], blend_um=0.3)


def _band(grid: Grid, rng: Rng, radius_um: float) -> Field:
    """Return the unsegmented horseshoe of a band cell."""
    points = arc(radius_um * 0.48, float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(3.0, 4.2)), 8)
    bent = grid.warped(rng, by_um=0.4, scale_um=2.5)
    return chain(bent, points, radius_um * float(rng.uniform(0.2, 0.26)))


def _off_centre(grid: Grid, rng: Rng, radius_um: float, share: float, *, bay: float) -> tuple[Field, Point]:
    """Return an eccentric nucleus of an area share, with a bay (0 none, 0.6 bean-shaped), and its middle."""
    inner, turn = radius_um * share**0.5, float(rng.uniform(0, 2 * np.pi))
    at = polar((radius_um - inner) * float(rng.uniform(0.4, 0.95)), turn)
    grown = inner * (1 + 0.18 * bay)
    core = blob(grid, rng, at=at, radius_um=grown, aspect=1.0 + 0.45 * bay, angle=turn + np.pi / 2, wobble=0.05)
    if bay > 0:
        mouth, floor = polar(grown * 1.5, turn + np.pi), polar(grown * (1.25 - 0.8 * bay), turn + np.pi)
        cut = capsule(grid, (at[0] + floor[0], at[1] + floor[1]), (at[0] + mouth[0], at[1] + mouth[1]), grown * 0.42)
        core = without(core, cut, blend_um=0.9)
    return core, at
