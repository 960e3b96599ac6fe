"""Single cells of known class as small pictures with their masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from db.records import CellClass
from worker.drawing import debris, granulocytes, lymphoid, mononuclear
from worker.drawing.grid import Bitmap, Field, Pixels, f32
from worker.drawing.shapes import cover
from worker.drawing.sketch import Sketch
from worker.drawing.stain import Stain

_DRAW: Mapping[CellClass, Callable[[np.random.Generator, float], Sketch]] = {
    CellClass.LYMPHOBLAST: lymphoid.lymphoblast,
    CellClass.BLAST_OTHER: mononuclear.blast_other,
    CellClass.PLASMA_CELL: lymphoid.plasma_cell,
    CellClass.LYMPHOCYTE: lymphoid.lymphocyte,
    CellClass.MONOCYTE: mononuclear.monocyte,
    CellClass.NEUTROPHIL: granulocytes.neutrophil,
    CellClass.EOSINOPHIL: granulocytes.eosinophil,
    CellClass.BASOPHIL: granulocytes.basophil,
    CellClass.IMMATURE_GRANULOCYTE: granulocytes.immature_granulocyte,
    CellClass.ERYTHROBLAST: mononuclear.erythroblast,
    CellClass.MEGAKARYOCYTE: mononuclear.megakaryocyte,
    CellClass.PLATELET: debris.platelet,
    CellClass.SMUDGE: debris.smudge,
    CellClass.ARTEFACT: debris.deposit,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CellSprite:
    """One cell on empty glass, cut close."""

    rgb: Pixels  # (h, w, 3) uint8
    alpha: Field  # (h, w) float32, 0 glass .. 1 cell
    nucleus: Bitmap  # (h, w) bool, all False for cells without one
    cell: Bitmap  # (h, w) bool, nucleus and cytoplasm
    cell_class: CellClass


@dataclass(frozen=True, kw_only=True, eq=False)
class RedCellSprite:
    """One red cell as the light it lets through, so that overlaps darken."""

    passed: Pixels  # (h, w, 3) uint8, 255 all light


def draw_cell(cell_class: CellClass, rng: np.random.Generator, *, mpp_um: float, stain: Stain) -> CellSprite:
    """Return a random cell of a class at `mpp_um` µm/px (0.02-1), coloured by `stain`."""
    finer = _finer(mpp_um)
    sketch = _DRAW[cell_class](rng, mpp_um / finer)
    nothing = np.full_like(sketch.cell_um, 1.0)
    nucleus = nothing if sketch.nucleus_um is None else sketch.nucleus_um
    alpha = _shrunk(cover(sketch.cell_um, 0.3), finer)
    rows, cols = _extent(alpha)
    cell = alpha[rows, cols] >= 0.5
    return CellSprite(
        rgb=stain.lit(_shrunk(stain.absorb(sketch.inks), finer))[rows, cols],
        alpha=alpha[rows, cols],
        nucleus=(_shrunk(cover(nucleus, 0.02), finer)[rows, cols] >= 0.5) & cell,
        cell=cell,
        cell_class=cell_class,
    )


def draw_red_cell(rng: np.random.Generator, *, mpp_um: float, stain: Stain) -> RedCellSprite:
    """Return a random red cell at `mpp_um` µm/px, coloured by `stain`."""
    finer = _finer(mpp_um)
    passed = stain.absorb(debris.red_cell(rng, mpp_um / finer).inks)
    return RedCellSprite(passed=np.round(_shrunk(passed, finer) * 255).astype(np.uint8))


def _finer(mpp_um: float) -> int:
    """Return how many times finer than the picture a cell is drawn: 2 for soft edges, 1 where pixels are small."""
    return 2 if mpp_um > 0.12 else 1


def _shrunk(picture: Field, factor: int) -> Field:
    """Return the means of `factor` x `factor` pixels, (h, w) or (h, w, 3) float32."""
    size = (picture.shape[1] // factor, picture.shape[0] // factor)
    return f32(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _extent(alpha: Field) -> tuple[slice, slice]:
    """Return the rows and columns that hold anything, with one pixel of glass about them."""
    rows, cols = np.nonzero(alpha.max(axis=1) > 0)[0], np.nonzero(alpha.max(axis=0) > 0)[0]
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(cols[0]) - 1), int(cols[-1]) + 2),
    )
