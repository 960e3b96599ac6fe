"""What the fuzzy systems make of the cells, in words and units as one reads them at a microscope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from db.cases import Case
from worker.fuzzy.mamdani import System, Variable
from worker.fuzzy.patients import SYSTEM
from worker.outputs.report import words
from worker.outputs.report.content import Fact, FuzzyInput, FuzzyView

_SYSTEMS: Mapping[str, System] = {SYSTEM.name: SYSTEM}
_SHOWN_RULES = 6
_WHOLLY = 0.995
"""From here on a word holds wholly, as the two decimals that are shown say."""
_LABELS = {
    "lymphoblast_share": ("Lymphoblasts: share of the counted cells", "share"),
    "lymphoblast_share_at_least": ("Lymphoblasts: lower end of that share's plain 95 % interval", "lower end"),
    "lymphoblast_confidence": ("Lymphoblasts: mean probability of the calls", "probability of the calls"),
    "lymphoblast_nc_ratio": ("Lymphoblasts: nucleus, as a part of the cell's area", "nucleus in the cell"),
    "lymphoblast_nucleus_um2": ("Lymphoblasts: area of the nucleus", "area of the nucleus"),
    "plasma_cell_share": ("Plasma cells: share of the counted cells", "share"),
    "plasma_cell_share_at_least": ("Plasma cells: lower end of that share's plain 95 % interval", "lower end"),
    "plasma_cell_confidence": ("Plasma cells: mean probability of the calls", "probability of the calls"),
    "plasma_cell_nc_ratio": ("Plasma cells: nucleus, as a part of the cell's area", "nucleus in the cell"),
    "plasma_cell_nucleus_offset": ("Plasma cells: nucleus off the cell's middle", "place of the nucleus"),
    "cells": ("All counted cells", "counted cells"),
    "called": ("All counted cells: part that the model called", "called cells"),
    "outlines": ("All counted cells: part that is 5 to 30 µm wide", "outlines"),
}
"""By the name of an input: what it is, and the same in short for a rule."""


def fuzzy(case: Case) -> tuple[FuzzyView, ...]:
    """Return what the fuzzy systems make of the cells, the rules that fired the strongest first."""
    held: Mapping[str, Any] = case.evidence.get("fuzzy") or {}
    return tuple(_view(disease, one) for disease, one in sorted(held.items()))


def _view(disease: str, stored: Mapping[str, Any]) -> FuzzyView:
    system = _SYSTEMS.get(stored.get("system", ""))
    fired = sorted(stored.get("rules", ()), key=lambda one: -float(one["strength"]))
    score = stored.get("score")
    return FuzzyView(
        disease=disease,
        system=stored.get("system", ""),
        score=words.NOTHING if score is None else f"{score:.2f}",
        meaning="" if score is None or system is None else _meaning(system, disease, score),
        inputs=tuple(_input(system, name, of) for name, of in stored["inputs"].items()),
        rules=tuple(_rule(system, one) for one in fired[:_SHOWN_RULES]),
    )


def _meaning(system: System, disease: str, score: float) -> str:
    """Return the score as the word that holds most of it, with what it is a word for."""
    output = next(one for one in system.outputs if one.name == disease)
    degrees = _degrees(output, score)
    return f"{words.title(output.meaning)}: {max(degrees, key=lambda name: degrees[name])}."


def _input(system: System | None, name: str, value: float | None) -> FuzzyInput:
    variable = None if system is None else system.input_by_name.get(name)
    if variable is None:  # of a system that this version does not know
        raw = words.NOTHING if value is None else f"{value:.3g}"
        return FuzzyInput(name=words.title(name.replace("_", " ")), value=raw, holds="", limits="")
    low, high = variable.terms[0], variable.terms[-1]
    return FuzzyInput(
        name=_LABELS[name][0],
        value=words.NOTHING if value is None else _with_unit(variable, value),
        holds="not known" if value is None else _holds(variable, value),
        limits=f"{low.name} up to {_with_unit(variable, low.full_to)}, {high.name} from "
        f"{_with_unit(variable, high.full)}",
    )


def _holds(variable: Variable, value: float) -> str:
    """Return the word that holds, or each that holds in part with how far it does."""
    degrees = {name: degree for name, degree in _degrees(variable, value).items() if degree > 0}
    most = max(degrees, key=lambda name: degrees[name])
    if degrees[most] >= _WHOLLY:
        return most
    return ", ".join(f"{name} {degree:.2f}" for name, degree in degrees.items())


def _degrees(variable: Variable, value: float) -> dict[str, float]:
    return {term.name: float(term.holds(np.array([value]))[0]) for term in variable.terms}


def _with_unit(variable: Variable, value: float) -> str:
    if variable.unit == "cells":
        return words.count(round(value))
    if variable.unit == "radii":
        return f"{value:.2f} of its radius"
    return f"{value:.0f}\u202f{variable.unit}" if variable.unit else words.percent(value).replace(".0\u202f", "\u202f")


def _rule(system: System | None, fired: Mapping[str, Any]) -> Fact:
    """Return a rule that fired by what it means, with its conditions in short; one that is not known as it stands."""
    known = next((one for one in system.rules if one.text == fired["rule"]), None) if system else None
    strength = f"{fired['strength']:.2f}"
    if known is None:
        return Fact(name=strength, value=fired["rule"], note=fired.get("why", ""))
    conditions = ", ".join(f"{_LABELS[name][1]} {term}" for name, term in known.conditions.items())
    meaning = f"{words.title(known.why)}: {known.output} {known.term}"
    return Fact(name=strength, value=meaning, note=f"{words.title(conditions)}.")
