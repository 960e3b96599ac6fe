from __future__ import annotations

from pathlib import Path

from tests.faults.document import PAGE
from tests.faults.recovery import MEASURES, write

KILLED, EMPTIED = MEASURES


def _written(page: Path) -> list[str]:
    write({KILLED: [74.6, 67.61], EMPTIED: [9.2]}, page=page)
    return page.read_text(encoding="utf-8").splitlines()


def test_figures_stand_in_the_page_smallest_first_beside_what_is_promised(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    lines = _written(page)
    (killed,) = (line for line in lines if line.startswith(f"| {KILLED.fault} |"))
    (emptied,) = (line for line in lines if line.startswith(f"| {EMPTIED.fault} |"))
    assert "| 2 minutes | 67.6, 74.6 |" in killed
    assert "| 9.2 |" in emptied


def test_what_else_the_page_says_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    _written(page)
    once = page.read_text(encoding="utf-8")
    _written(page)
    assert page.read_text(encoding="utf-8") == once
    tables = ("| F1 |", "| F50 |", "| I12 isolated |", "<!-- recovery: ", "<!-- end of recovery -->")
    assert all(once.count(part) == 1 for part in tables)


def test_what_is_promised_is_what_the_latest_figure_may_be() -> None:
    assert KILLED.latest_s == 120
    assert 15 <= EMPTIED.latest_s <= 20
