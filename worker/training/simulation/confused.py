"""Shares as a model that confuses classes calls them, and as they come out corrected (worker/correction.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.counts import SpecimenTally
from db.records import NOT_COUNTED, CellClass, Confusion, Specimen
from worker.correction import corrected
from worker.counting.intervals import clopper_pearson, counted

CELLS = 600
_CONFIDENCE = 0.95
_REST = {
    CellClass.NEUTROPHIL: 0.32,
    CellClass.ERYTHROBLAST: 0.26,
    CellClass.IMMATURE_GRANULOCYTE: 0.20,
    CellClass.LYMPHOCYTE: 0.15,
    CellClass.EOSINOPHIL: 0.04,
    CellClass.MONOCYTE: 0.03,
}
"""What the other cells of a marrow are."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Many patients of one true share of one class."""

    cell_class: CellClass
    share: float
    raw: float  # mean
    raw_coverage: float
    corrected: float
    corrected_coverage: float


def study(cell_class: CellClass, share: float, confusion: Confusion, rng: np.random.Generator, *, patients: int) -> Row:
    """Draw patients whose cells are confused as the matrix says, and matrices as labelled cells would have shown it."""
    raw, mended = [], []
    chances = _smooth(confusion)
    for _ in range(patients):
        tally = _called(_truth(cell_class, share, confusion), confusion, chances, rng)
        seen = _drawn(confusion, chances, rng)
        low, high = clopper_pearson(tally.counts[cell_class], counted(tally), _CONFIDENCE)
        raw.append((tally.counts[cell_class] / counted(tally), low <= share <= high))
        found = corrected(tally, seen, [cell_class], _CONFIDENCE)[cell_class]
        mended.append((found.value, found.ci_low <= share <= found.ci_high))
    (raw_mean, raw_holds), (mean, holds) = np.mean(raw, axis=0), np.mean(mended, axis=0)
    return Row(
        cell_class=cell_class,
        share=share,
        raw=float(raw_mean),
        raw_coverage=float(raw_holds),
        corrected=float(mean),
        corrected_coverage=float(holds),
    )


def _truth(cell_class: CellClass, share: float, confusion: Confusion) -> NDArray[np.float64]:
    rest = {name: part * (1 - share) for name, part in _REST.items() if name != cell_class}
    scale = (1 - share) / sum(rest.values())
    shares = {name: part * scale for name, part in rest.items()} | {cell_class: share}
    return np.array([shares.get(CellClass(name), 0.0) for name in confusion.classes])


def _smooth(confusion: Confusion) -> NDArray[np.float64]:
    counts = np.array(confusion.counts, dtype=np.float64)
    return np.asarray((counts + 1 / counts.shape[1]) / (counts.sum(axis=1, keepdims=True) + 1))


def _drawn(confusion: Confusion, chances: NDArray[np.float64], rng: np.random.Generator) -> Confusion:
    """Return the matrix as another sample of as many labelled cells would have given it."""
    rows = (rng.multinomial(sum(row), chance) for row, chance in zip(confusion.counts, chances, strict=True))
    return Confusion(classes=confusion.classes, counts=tuple(tuple(map(int, row)) for row in rows))


def _called(
    truth: NDArray[np.float64], confusion: Confusion, chances: NDArray[np.float64], rng: np.random.Generator
) -> SpecimenTally:
    cells = rng.multinomial(CELLS, truth)
    called = sum(rng.multinomial(n, row) for n, row in zip(cells, chances, strict=True))
    kept = dict(zip(confusion.classes, np.asarray(called)[:-1].tolist(), strict=True))
    assert not set(_REST) & NOT_COUNTED  # noqa: S101 - so that every abstained cell is a counted one
    return SpecimenTally(specimen=Specimen.MARROW, counts=kept, abstained=int(np.asarray(called)[-1]), slides_done=1)
