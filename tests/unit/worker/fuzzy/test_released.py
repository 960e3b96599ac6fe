from __future__ import annotations

import hashlib
from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.fuzzy.mamdani import infer
from worker.fuzzy.released import ALL, DEFAULT_SYSTEM, DISEASES, MM, SYSTEMS
from worker.rules import DEFAULT_RULE, RULES

SYSTEM = SYSTEMS[DEFAULT_SYSTEM]
RANGES = {variable.name: (variable.low, variable.high) for variable in SYSTEM.inputs}
DIGESTS = {"fuzzy-2026-11": "bf47816d634ac463"}
"""What was released stays as it is: change nothing here but by adding a name."""
CLEAR_ALL: dict[str, float | None] = {
    "lymphoblast_share": 0.8,
    "lymphoblast_share_at_least": 0.6,
    "lymphoblast_confidence": 0.95,
    "lymphoblast_nc_ratio": 0.8,
    "lymphoblast_nucleus_um2": 60.0,
    "plasma_cell_share": 0.0,
    "plasma_cell_share_at_least": 0.0,
    "plasma_cell_confidence": None,
    "plasma_cell_nc_ratio": None,
    "plasma_cell_nucleus_offset": None,
    "cells": 30.0,
    "called": 1.0,
    "outlines": 1.0,
}
CLEAR_MM = CLEAR_ALL | {
    "lymphoblast_share": 0.0,
    "lymphoblast_share_at_least": 0.0,
    "plasma_cell_share": 0.4,
    "plasma_cell_share_at_least": 0.25,
    "plasma_cell_confidence": 0.95,
    "plasma_cell_nc_ratio": 0.4,
    "plasma_cell_nucleus_offset": 0.3,
}


def scores(values: dict[str, float | None]) -> dict[str, float]:
    return dict(infer(SYSTEM, values).scores)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_released_system_never_changes(name: str) -> None:
    system = SYSTEMS[name]
    words = [(variable.name, *map(asdict, variable.terms)) for variable in (*system.inputs, *system.outputs)]
    written = repr((system.dated, words, [rule.text for rule in system.rules]))
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == DIGESTS[name]


def test_clear_fields_get_clear_scores() -> None:
    assert scores(CLEAR_ALL) == {ALL: pytest.approx(0.917, abs=0.01), MM: pytest.approx(0.083, abs=0.01)}
    assert scores(CLEAR_MM) == {ALL: pytest.approx(0.083, abs=0.01), MM: pytest.approx(0.917, abs=0.01)}


@pytest.mark.parametrize(
    "doubt",
    [
        {"lymphoblast_confidence": 0.5},
        {"lymphoblast_nc_ratio": 0.4},
        {"lymphoblast_nucleus_um2": 20.0},
        {"lymphoblast_share_at_least": 0.02},
        {"outlines": 0.3},
    ],
)
def test_every_doubt_lowers_a_clear_score(doubt: dict[str, float | None]) -> None:
    assert scores(CLEAR_ALL | doubt)[ALL] < scores(CLEAR_ALL)[ALL] - 0.1


@pytest.mark.parametrize("doubt", [{"cells": 2.0}, {"called": 0.4}, {"outlines": 0.3}])
def test_every_doubt_raises_the_score_of_an_absence(doubt: dict[str, float | None]) -> None:
    assert scores(CLEAR_ALL | doubt)[MM] > scores(CLEAR_ALL)[MM] + 0.1


def test_limits_of_shares_are_those_of_the_verdict() -> None:
    for criterion in RULES[DEFAULT_RULE].criteria:
        raised = SYSTEM.input_by_name[f"{criterion.cell_class}_share"].term("raised")
        assert raised.full == criterion.threshold


def test_every_limit_says_where_it_comes_from() -> None:
    assert all(variable.source and variable.meaning for variable in (*SYSTEM.inputs, *SYSTEM.outputs))
    assert all(rule.why for rule in SYSTEM.rules)


def _values(suspects: tuple[bool, bool]) -> st.SearchStrategy[dict[str, float | None]]:
    """Draw inputs as a field can give them: what describes suspected cells is known where there are some."""
    known = dict(zip(("lymphoblast", "plasma_cell"), suspects, strict=True))

    def one(name: str) -> st.SearchStrategy[float | None]:
        cell = next((cell for cell in known if name.startswith(cell)), None)
        if cell is None or known[cell]:
            return st.floats(*RANGES[name])
        return st.just(0.0) if "share" in name else st.none()

    return st.fixed_dictionaries({name: one(name) for name in RANGES})


@settings(max_examples=50)
@given(st.tuples(st.booleans(), st.booleans()).flatmap(_values))
def test_whatever_a_field_shows_some_rule_fires_strongly_for_each_disease(values: dict[str, float | None]) -> None:
    found = infer(SYSTEM, values)
    for disease in DISEASES:
        mine = [s for s, rule in zip(found.strengths, SYSTEM.rules, strict=True) if rule.output == disease]
        assert max(mine) >= 0.5
        assert 0.08 < found.scores[disease] < 0.92


@pytest.mark.parametrize(("disease", "cell"), [(ALL, "lymphoblast"), (MM, "plasma_cell")])
def test_more_suspected_cells_never_lower_a_score(disease: str, cell: str) -> None:
    clear = CLEAR_ALL if disease == ALL else CLEAR_MM
    found = [
        scores(clear | {f"{cell}_share": share / 100, f"{cell}_share_at_least": 0.7 * share / 100})[disease]
        for share in range(0, 60, 2)
    ]
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(found))
