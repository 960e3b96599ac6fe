from __future__ import annotations

from pathlib import Path

import pytest

from db.records import Specimen
from worker.counting.looks import FULL_CELLS, share_at_end, share_of_look
from worker.fuzzy.patients import SYSTEM
from worker.rules import DEFAULT_RULE, RULES, RuleSet

DOCS = Path(__file__).resolve().parents[4] / "docs"
ADAPTIVE = RULES["marrowline-2026.3-adaptive"]


def row(rule: RuleSet) -> str:
    """Return a rule set as the documentation has it."""
    limits = {(one.disease, one.specimen): f"{100 * one.threshold:g} %" for one in rule.criteria}
    assert limits["ALL", Specimen.MARROW] == limits["ALL", Specimen.BLOOD]
    columns = (
        f"`{rule.name}`",
        f"lymphoblasts {limits['ALL', Specimen.MARROW]}",
        f"plasma cells {limits['MM', Specimen.MARROW]}",
        str(rule.min_cells[Specimen.MARROW]),
        "wider interval" if rule.widened else "not asked",
        "not asked" if rule.least_marrow_index is None else f"{rule.least_marrow_index:.2f}",
        "stands" if rule.reached_stands else "waits",
        ", ".join(f"{at:,}" for at in rule.looks) or "none",
    )
    return f"| {' | '.join(columns)} |"


@pytest.mark.parametrize("name", RULES)
def test_every_rule_set_has_its_row(name: str) -> None:
    text = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert row(RULES[name]) in text
    assert f"`{DEFAULT_RULE}` unless it is set" in text
    assert RULES[name].min_cells[Specimen.BLOOD] == 200
    assert RULES[name].confidence == 0.95


def test_the_looks_are_explained_by_their_real_numbers() -> None:
    text = (DOCS / "counting.md").read_text(encoding="utf-8")
    first, second = (share_of_look(ADAPTIVE, Specimen.MARROW, at) for at in (500, 1000))
    assert f"| 500 cells | {100 * first:.1f} % of the error | {100 * (1 - ADAPTIVE.error * first):.2f} % |" in text
    assert f"| 1,000 cells | {100 * second:.1f} % | {100 * (1 - ADAPTIVE.error * second):.2f} % |" in text
    left = [share_at_end(ADAPTIVE, Specimen.MARROW, cells) for cells in (1000, 500)]
    assert f"{100 * left[0]:.1f} % past both looks, {100 * left[1]:.1f} % past one" in text
    assert f"t = cells / {FULL_CELLS:,}" in text
    assert f"{100 * (1 - ADAPTIVE.error * first**2):.4f} % confidence" in text


def test_the_fuzzy_system_of_patients_is_named() -> None:
    assert f"`{SYSTEM.name}`" in (DOCS / "fuzzy.md").read_text(encoding="utf-8")
