"""Drawn cells as training crops: their class is certain, and their stains are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from db.records import NOT_COUNTED, CellClass
from worker.cells.preprocess import crop
from worker.cells.segment import CellMask
from worker.drawing.crops import draw_crops
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.drawing.truth import TrueCell
from worker.training.classification.data import MPP_UM, STORED_PX, CropSet, Label, Row, crop_set
from worker.training.classification.sources import Find, Sight

_PER_GROUP = 12  # draw_crops gives so many neighbouring crops one stain
_SEEDS_FROM = 7_000_000  # far from the seeds of demonstrations and tests
_SIDE_PX = 1536
_CELLS = 110
_NUCLEATED = tuple(c for c in CellClass if c not in NOT_COUNTED)
_NEAR_PX = 40.0


def drawn_cells(seed: int, per_class: int, sight: Sight) -> CropSet:
    """Return `per_class` drawn crops of every class that fits into a crop; a stain's crops are one group."""
    rng = np.random.default_rng([seed, 1])
    pixels, labels = draw_crops(rng, per_class, crop_px=STORED_PX, mpp_um=MPP_UM)
    rows = (
        (sight.shown(pixel), frozenset({label}), str(number // _PER_GROUP), str(number))
        for number, (pixel, label) in enumerate(zip(pixels, labels, strict=True))
    )
    return crop_set(rows, "drawn_cells")


def drawn_smears(seed: int, smears: int, sight: Sight) -> CropSet:
    """Return the cells of whole drawn smears as the product finds and centres them; a smear is one group."""
    rows = (row for number in range(smears) for row in _smear_rows(_SEEDS_FROM + 1000 * seed + number, sight))
    return crop_set(rows, "drawn_smears")


def labelled(drawn: DrawnSmear, find: Find) -> Iterator[tuple[CellMask, Label]]:
    """Yield each cell that is found in a drawn smear with the label of what was drawn there.

    What was found where nothing was drawn may be anything that is not counted.
    """
    for found in find(drawn.rgb):
        yield found, _true_label(found, drawn)


def _smear_rows(seed: int, sight: Sight) -> Iterator[Row]:
    rng = np.random.default_rng([seed, 3])
    shares = rng.dirichlet(np.full(len(_NUCLEATED), 0.8))
    spec = SmearSpec(
        width_px=_SIDE_PX,
        height_px=_SIDE_PX,
        seed=seed,
        composition={c: int(n) for c, n in zip(_NUCLEATED, rng.multinomial(_CELLS, shares), strict=True)},
        touching=float(rng.uniform(0.05, 0.25)),
        red_cells_per_mm2=float(rng.uniform(2500, 8500)),
        platelets_per_mm2=float(rng.uniform(60, 300)),
        deposits_per_mm2=float(rng.uniform(4, 60)),
        smudges=int(rng.integers(2, 7)),
    )
    drawn = draw_smear(spec)
    shown = sight.shown(drawn.rgb)
    for found, label in labelled(drawn, sight.find):
        yield crop(shown, *found.centre_tile, STORED_PX), label, str(seed), str(seed)


def _true_label(found: CellMask, drawn: DrawnSmear) -> Label:
    rows, columns = np.nonzero(found.nucleus)
    under = drawn.nuclei[rows + found.y_tile, columns + found.x_tile]
    if np.count_nonzero(under) > 0.3 * found.count:
        number = int(np.bincount(under[under > 0]).argmax())
        return frozenset({drawn.truth[number - 1].cell_class})
    near = _nearest(found.centre_tile, drawn.known.uncounted)
    return frozenset({near.cell_class}) if near else NOT_COUNTED - {CellClass.MEGAKARYOCYTE}


def _nearest(centre: tuple[int, int], cells: Sequence[TrueCell]) -> TrueCell | None:
    def away(cell: TrueCell) -> float:
        return float(np.hypot(cell.x_l0 - centre[0], cell.y_l0 - centre[1]))

    best = min(cells, key=away, default=None)
    return best if best is not None and away(best) < _NEAR_PX else None
