"""Marrows of two diseases of which the model leaves cells open: what is found by rules that wait, and that do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from db.counts import SpecimenTally, Tally
from db.records import CellClass, Finding, Specimen
from worker.verdict import decide

CELLS = 600
PLASMA_CELLS = 0.30
"""Their true share: far above the threshold."""
WAITS, STANDS = "marrowline-2026.2", "marrowline-2026.3"
_OTHERS_OPEN = 0.05
"""Part of all other cells that the model would not call."""
_REST = (CellClass.NEUTROPHIL, CellClass.ERYTHROBLAST, CellClass.IMMATURE_GRANULOCYTE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Many patients of one true share of lymphoblasts, of which the model leaves one part open."""

    share: float
    left_open: float
    waits: float  # part of the patients that is found consistent with MM, by the edition that waits
    stands: float  # by the one that does not


def study(share: float, left_open: float, rng: np.random.Generator, *, patients: int) -> Row:
    """Draw patients and judge them by both editions."""
    found = [_found(_drawn(share, left_open, rng)) for _ in range(patients)]
    waits, stands = np.mean(found, axis=0)
    return Row(share=share, left_open=left_open, waits=float(waits), stands=float(stands))


def _drawn(share: float, left_open: float, rng: np.random.Generator) -> SpecimenTally:
    rest = (1 - PLASMA_CELLS - share) / len(_REST)
    names = (CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL, *_REST)
    cells = rng.multinomial(CELLS, (share, PLASMA_CELLS, *[rest] * len(_REST)))
    called = rng.binomial(cells, 1 - np.array([left_open, *[_OTHERS_OPEN] * (len(names) - 1)]))
    counts = {name.value: int(n) for name, n in zip(names, called, strict=True)}
    return SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=CELLS - int(called.sum()), slides_done=1)


def _found(tally: SpecimenTally) -> tuple[bool, bool]:
    """Tell whether it is consistent with MM by the edition that waits, and by the one that does not."""
    waits, stands = (
        decide(
            Tally(
                model_version="drawn",
                rule=rule,
                specimens=(tally,),
                slides_done=1,
                slides_open=0,
                slides_quarantined=0,
            )
        ).finding
        is Finding.CONSISTENT_WITH_MM
        for rule in (WAITS, STANDS)
    )
    return waits, stands
