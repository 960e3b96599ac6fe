"""`marrowline rules` on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.commands import Command
from tests.support.rows import add_slide, execute, read, scalar
from worker.rules import RULES


def a_lab(engine: Engine) -> None:
    """Make two patients: one with 22 % of lymphoblasts, one with none."""
    few = ["lymphoblast"] * 220 + ["lymphocyte"] * 680
    read(engine, add_slide(engine, "a", patient="between"), few)
    read(engine, add_slide(engine, "b", patient="normal"), ["lymphocyte"] * 600)
    execute(engine, "UPDATE lab SET rule = 'marrowline-2026.1'")


def test_the_list_names_every_rule_and_who_uses_it(lab: Engine, on_database: Command) -> None:
    a_lab(lab)
    code, out, _ = on_database("rules", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, list(rows)) == (0, list(RULES))
    assert rows["marrowline-2026.1"]["labs"] == ["lab"]
    assert [row["name"] for row in rows.values() if row["default"]] == ["marrowline-2026.3"]
    assert {one["threshold"] for one in rows["marrowline-2026.2-all25"]["criteria"]} == {0.25, 0.1}
    _, screen, _ = on_database("rules", "list")
    assert "lymphoblasts 25 % in marrow" in screen
    assert "may stop at      200, 500, 1,000" in screen


def test_another_rule_judges_all_patients_and_the_history_keeps_what_was(lab: Engine, on_database: Command) -> None:
    a_lab(lab)
    code, out, _ = on_database("rules", "use", "lab", "marrowline-2026.1-min200", "--json")
    assert (code, json.loads(out)["patients"]) == (0, 2)
    before = scalar(lab, "SELECT count(*) FROM verdict_history")
    code, out, _ = on_database("rules", "use", "lab", "marrowline-2026.1-all25", "--json")
    document = json.loads(out)
    assert {one["patient"] for one in document["changed"]} == {"between"}
    assert document["changed"][0]["before"] == "consistent_with_ALL"
    assert document["changed"][0]["after"] == "indeterminate"
    assert scalar(lab, "SELECT array_agg(DISTINCT rule) FROM report.patients") == ["marrowline-2026.1-all25"]
    assert scalar(lab, "SELECT count(*) FROM verdict_history") == before + 2
    _, screen, _ = on_database("rules", "use", "lab", "marrowline-2026.1-min200")
    assert "lab uses marrowline-2026.1-min200; 2 patients judged, 1 with another finding." in screen


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [(("lab", "mine"), 2, "give one of marrowline-2026.3"), (("nowhere", "marrowline-2026.2"), 1, "no lab nowhere")],
)
def test_what_is_not_known_is_refused_and_changes_nothing(
    lab: Engine, on_database: Command, arguments: tuple[str, str], code: int, cause: str
) -> None:
    a_lab(lab)
    found, out, err = on_database("rules", "use", *arguments)
    assert (found, out) == (code, "")
    assert cause in err
    assert scalar(lab, "SELECT rule FROM lab") == "marrowline-2026.1"


def test_without_a_database_the_rules_are_still_told(
    on_database: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MARROWLINE_DATABASE_URL")
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path / "never started"))
    code, out, _ = on_database("rules", "list", "--json")
    assert (code, {tuple(row["labs"]) for row in json.loads(out)}) == (0, {()})
