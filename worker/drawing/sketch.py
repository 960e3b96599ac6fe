"""A cell before it is stained: its outlines and how much of each dye every pixel holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worker.drawing.grid import Field, Grid, f32
from worker.drawing.shapes import cover
from worker.drawing.stain import Dye

_UNDER_NUCLEUS = 0.2
"""Share of the cytoplasm that still lies above and below the nucleus."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch:
    """Outlines (signed distances, µm) and dyes of one cell on its own grid."""

    cell_um: Field
    nucleus_um: Field | None  # None: the cell has no nucleus
    inks: Mapping[Dye, Field]


def compose(
    *,
    cell_um: Field,
    nucleus_um: Field,
    chromatin: Field,
    cytoplasm: Mapping[Dye, Field | float],
    above: Mapping[Dye, Field] | None = None,
    edge_um: float = 0.35,
) -> Sketch:
    """Return a nucleated cell; `chromatin` and `cytoplasm` hold strengths, `above` also covers the nucleus."""
    inside, core = cover(cell_um, edge_um), cover(nucleus_um, 0.3)
    rest = inside * (1 - np.float32(1 - _UNDER_NUCLEUS) * core)
    inks: dict[Dye, Field] = {
        dye: (rest * np.float32(1) * strength).astype(np.float32) for dye, strength in cytoplasm.items()
    }
    inks[Dye.CHROMATIN] = inks.get(Dye.CHROMATIN, np.float32(0)) + core * chromatin
    for dye, field in (above or {}).items():
        inks[dye] = inks.get(dye, np.float32(0)) + field * inside
    return Sketch(cell_um=cell_um, nucleus_um=nucleus_um, inks=inks)


def within(nucleus_um: Field, cell_um: Field, *, margin_um: float) -> Field:
    """Return the nucleus cut off where it would come nearer than `margin_um` to the cell's edge."""
    return f32(np.maximum(nucleus_um, cell_um + np.float32(margin_um)))


def mottled(grid: Grid, rng: np.random.Generator, strength: float, *, contrast: float = 0.1) -> Field:
    """Return a dye's strength with the cloudiness of cytoplasm."""
    clouds = 0.7 * grid.noise(rng, 2.2) + 0.6 * grid.noise(rng, 0.6)
    return f32(np.clip(np.float32(strength) * (1 + np.float32(contrast) * clouds), 0, None))


def deeper_at_rim(cell_um: Field, *, by: float, width_um: float = 1.2) -> Field:
    """Return a factor about 1 that rises towards the cell's edge, as thick or RNA-rich borders do."""
    return f32(1 + np.float32(by) * np.exp(-np.abs(cell_um) / np.float32(width_um)))
