from __future__ import annotations

from pathlib import Path

from worker.fuzzy.released import DEFAULT_SYSTEM, SYSTEMS

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "fuzzy.md").read_text(encoding="utf-8")
SYSTEM = SYSTEMS[DEFAULT_SYSTEM]


def test_the_documentation_has_every_rule_and_every_limit_of_the_default_system() -> None:
    assert f"`{SYSTEM.name}`" in TEXT
    assert TEXT.count("* IF ") == len(SYSTEM.rules)
    assert [rule.text for rule in SYSTEM.rules if f"* {rule.text}: {rule.why}" not in TEXT] == []
    for variable in SYSTEM.inputs:
        low, high = variable.terms
        words = f"{low.name} up to {low.full_to:g}, {high.name} from {high.full:g}"
        assert f"| `{variable.name}` | {variable.meaning} | {words} | {variable.source} |" in TEXT
