"""The fuzzy system held against a patient's counted cells: it explains a finding and never makes one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from db.counts import Measured, SpecimenTally
from db.records import NOT_COUNTED, CellClass
from worker.counting.intervals import clopper_pearson, counted
from worker.fuzzy.mamdani import System, Variable, infer
from worker.fuzzy.released import DEFAULT_SYSTEM, DISEASES, SYSTEMS

_CONFIDENCE = 0.95
_MEANINGS = {
    "outlines": "share of the counted cells that are 5 to 30 µm wide",
    "cells": "counted cells of the specimen",
}
_OF_SLIDES = "mean over the slides, weighed by their cells, of the "
_SUSPECTS = (CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL)


def _of_patients(variable: Variable) -> Variable:
    meaning = _MEANINGS.get(variable.name, variable.meaning)
    return replace(variable, meaning=_OF_SLIDES + meaning if meaning.startswith("median") else meaning)


_FIELDS = SYSTEMS[DEFAULT_SYSTEM]
SYSTEM = System(
    name="fuzzy-2026-11-patient",
    dated=_FIELDS.dated,
    inputs=tuple(_of_patients(one) for one in _FIELDS.inputs),
    outputs=tuple(replace(one, meaning=one.meaning.replace("field", "specimen")) for one in _FIELDS.outputs),
    rules=_FIELDS.rules,
)
"""The words and rules of the system for fields; what is measured on a whole specimen is named anew."""


def assess(tally: SpecimenTally) -> dict[str, dict[str, Any]]:
    """Return per disease the inputs, the rules that fired with their strengths, and the score.

    Nothing where no cell was counted, or what the cells are like was not stored when their slides were read.
    """
    if not counted(tally) or not any(one.of_cell_width is not None for one in _measured(tally)):
        return {}
    try:
        found = infer(SYSTEM, inputs_of(tally))
    except ValueError:  # no rule fires, where what the suspected cells are like is not known
        return {}
    return {disease: _of_disease(disease, found.inputs, found.strengths, found.scores[disease]) for disease in DISEASES}


def inputs_of(tally: SpecimenTally) -> dict[str, float | None]:
    """Return every input of the system; what no cell tells is None. The specimen has counted cells."""
    cells = counted(tally)
    values: dict[str, float | None] = {"cells": float(cells), "called": 1 - tally.abstained / cells}
    values["outlines"] = min(1.0, sum(one.of_cell_width or 0 for one in _measured(tally)) / cells)
    for suspect in _SUSPECTS:
        positive = tally.counts.get(suspect, 0)
        values |= {
            f"{suspect}_share": positive / cells,
            f"{suspect}_share_at_least": clopper_pearson(positive, cells, _CONFIDENCE)[0],
            f"{suspect}_confidence": _mean(tally, suspect, "probability"),
            f"{suspect}_nc_ratio": _mean(tally, suspect, "nc_ratio"),
        }
    values["lymphoblast_nucleus_um2"] = _mean(tally, CellClass.LYMPHOBLAST, "nucleus_um2")
    return values | {"plasma_cell_nucleus_offset": _mean(tally, CellClass.PLASMA_CELL, "nucleus_offset")}


def _measured(tally: SpecimenTally) -> Iterator[Measured]:
    for slide in tally.slides:
        yield from (one for name, one in slide.measured.items() if CellClass(name) not in NOT_COUNTED)


def _mean(tally: SpecimenTally, cell_class: CellClass, what: str) -> float | None:
    """Return a measure of one class over the slides, each weighed by the cells it was called for."""
    known = [
        (slide.counts[cell_class], value)
        for slide in tally.slides
        if slide.counts.get(cell_class) and (value := getattr(slide.measured.get(cell_class), what, None)) is not None
    ]
    weight = sum(cells for cells, _ in known)
    return sum(cells * float(value) for cells, value in known) / weight if weight else None


def _of_disease(disease: str, inputs: Any, strengths: tuple[float, ...], score: float) -> dict[str, Any]:
    rules = [(rule, strength) for rule, strength in zip(SYSTEM.rules, strengths, strict=True) if rule.output == disease]
    used = {name for rule, _ in rules for name in rule.conditions}
    return {
        "system": SYSTEM.name,
        "inputs": {name: value for name, value in inputs.items() if name in used},
        "rules": [{"rule": r.text, "why": r.why, "strength": strength} for r, strength in rules if strength > 0],
        "score": score,
    }
