"""Whole drawn smears whose every nucleated cell is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from db.records import NOT_COUNTED, CellClass
from worker.drawing.cells import draw_cell
from worker.drawing.field import empty_glass, lay_cell, photograph
from worker.drawing.grid import Pixels
from worker.drawing.placement import PAIRS_AND_TRIPLES, Laid, clumped, placed
from worker.drawing.stain import Stain
from worker.drawing.surroundings import pour_red_cells, strew_small
from worker.drawing.truth import SlideTruth, TrueCell
from worker.errors import BadRequestError

Labels = NDArray[np.uint16]
"""(H, W) uint16: 0 nothing, i + 1 the i-th true cell."""

_GAP_UM = 1.0
"""Cells that do not touch lie at least so far apart, and so far from the border."""

_NO_CELL = NOT_COUNTED - {CellClass.MEGAKARYOCYTE}


@dataclass(frozen=True, kw_only=True)
class SmearSpec:
    """What to draw; equal specs give equal pixels."""

    width_px: int
    height_px: int
    mpp_um: float = 0.25
    seed: int
    composition: Mapping[CellClass, int]  # exact numbers of nucleated cells
    stain: Stain | None = None  # None: sampled from the seed
    touching: float = 0.1  # share of the nucleated cells that lie in clumps
    clump_sizes: Mapping[int, float] = field(default_factory=lambda: dict(PAIRS_AND_TRIPLES))  # cells, weight
    red_cells_per_mm2: float = 6000.0
    platelets_per_mm2: float = 150.0
    deposits_per_mm2: float = 4.0
    smudges: int = 0

    def __post_init__(self) -> None:
        if not 0 <= sum(self.composition.values()) <= np.iinfo(np.uint16).max:
            raise BadRequestError("a smear holds 0 to 65535 nucleated cells")
        if wrong := [name.value for name, count in self.composition.items() if name in _NO_CELL or count < 0]:
            raise BadRequestError(f"not nucleated cells, or a negative number of them: {', '.join(wrong)}")
        if not 0.0 <= self.touching <= 1.0:
            raise BadRequestError(f"touching is a share from 0 to 1, not {self.touching}")
        if not self.clump_sizes or min(self.clump_sizes) < 2 or min(self.clump_sizes.values()) <= 0:
            raise BadRequestError("a clump has two cells or more, and each size of clump a weight above 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnSmear:
    """The picture and the truth about it."""

    rgb: Pixels = field(repr=False)  # (H, W, 3) uint8
    known: SlideTruth
    nuclei: Labels = field(repr=False)
    cells: Labels = field(repr=False)  # nucleus and cytoplasm; where two touch, the one painted last

    @property
    def truth(self) -> tuple[TrueCell, ...]:
        """The nucleated cells; `nuclei` and `cells` number them from 1."""
        return self.known.cells


def draw_smear(spec: SmearSpec) -> DrawnSmear:
    """Draw a smear. Raises BadRequestError when its cells do not fit into its size."""
    rngs = [np.random.default_rng([spec.seed, stream]) for stream in range(5)]
    stain = spec.stain or Stain.sample(rngs[0])
    cells, others = _lay(rngs[1], rngs[2], spec, stain)
    canvas = empty_glass((spec.height_px, spec.width_px), stain, rngs[3], spec.mpp_um)
    pour_red_cells(
        canvas, rngs[3], per_mm2=spec.red_cells_per_mm2, mpp_um=spec.mpp_um, stain=stain, around=[*cells, *others]
    )
    for laid in [*others, *cells]:
        lay_cell(canvas, laid.sprite, *laid.centre)
    return DrawnSmear(
        rgb=photograph(canvas, stain, rngs[4], spec.mpp_um),
        known=SlideTruth(
            width_px=spec.width_px,
            height_px=spec.height_px,
            mpp_um=spec.mpp_um,
            seed=spec.seed,
            cells=tuple(_true_cell(laid, spec.mpp_um) for laid in cells),
            uncounted=tuple(_true_cell(laid, spec.mpp_um) for laid in others),
        ),
        nuclei=_labels(spec, cells, nuclei=True),
        cells=_labels(spec, cells, nuclei=False),
    )


def _lay(
    rng: np.random.Generator, rng_small: np.random.Generator, spec: SmearSpec, stain: Stain
) -> tuple[list[Laid], list[Laid]]:
    """Return the nucleated cells, and smudge cells with platelets and deposits."""
    size = (spec.width_px, spec.height_px)
    classes = [name for name, count in spec.composition.items() for _ in range(count)]
    sprites = [draw_cell(name, rng, mpp_um=spec.mpp_um, stain=stain) for name in classes]
    clumps = clumped(rng, sprites, spec.touching, spec.clump_sizes)
    for _ in range(spec.smudges):
        sprite = draw_cell(CellClass.SMUDGE, rng, mpp_um=spec.mpp_um, stain=stain)
        clumps.append((Laid(sprite=sprite, left=0, top=0),))
    laid = placed(rng, clumps, size, gap_px=_GAP_UM / spec.mpp_um)
    cells = [one for one in laid if one.sprite.cell_class is not CellClass.SMUDGE]
    others = [one for one in laid if one.sprite.cell_class is CellClass.SMUDGE]
    for kind, per_mm2 in (
        (CellClass.PLATELET, spec.platelets_per_mm2),
        (CellClass.ARTEFACT, spec.deposits_per_mm2),
    ):
        others += strew_small(
            rng_small, kind=kind, per_mm2=per_mm2, size_px=size, mpp_um=spec.mpp_um, stain=stain, around=laid
        )
    return cells, others


def _labels(spec: SmearSpec, cells: list[Laid], *, nuclei: bool) -> Labels:
    """Return the label image of the laid cells' nuclei or of their whole bodies."""
    labels = np.zeros((spec.height_px, spec.width_px), np.uint16)
    for number, laid in enumerate(cells, start=1):
        mask = laid.sprite.nucleus if nuclei else laid.sprite.cell
        height, width = mask.shape
        labels[laid.top : laid.top + height, laid.left : laid.left + width][mask] = number
    return labels


def _true_cell(laid: Laid, mpp_um: float) -> TrueCell:
    sprite = laid.sprite
    rows, cols = np.nonzero(sprite.nucleus if sprite.nucleus.any() else sprite.alpha > 0)
    return TrueCell(
        x_l0=laid.left + float(cols.mean()),
        y_l0=laid.top + float(rows.mean()),
        cell_class=sprite.cell_class,
        nucleus_area_um2=float(np.count_nonzero(sprite.nucleus)) * mpp_um**2,
        cell_area_um2=float(np.count_nonzero(sprite.cell)) * mpp_um**2,
        touching=laid.touching,
    )
