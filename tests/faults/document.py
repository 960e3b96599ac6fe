"""Writes what came of each row into docs/reliability.md, between two marks; rows that were not run keep their line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from tests.faults.catalogue import Row, rows
from tests.faults.stage import NOT_WRITTEN, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- rows: written by python -m tests.faults -->", "<!-- end of rows -->"
_HEAD = "| row | fault | expected | invariants | last run |\n|---|---|---|---|---|\n"
_LINE = re.compile(r"^\| F(\d+) \|.*\| ([^|]*) \|$", re.MULTILINE)


def write(outcomes: Iterable[Outcome], *, page: Path = PAGE) -> None:
    """Put the outcomes into the page's table."""
    text = page.read_text(encoding="utf-8")
    new = {outcome.row.number: _told(outcome) for outcome in outcomes}
    page.write_text(with_table(text, {**told_in(text), **new}), encoding="utf-8")


def told_in(text: str) -> dict[int, str]:
    """Return what a page says came of each row."""
    return {int(number): told for number, told in _LINE.findall(text)}


def with_table(text: str, told: dict[int, str]) -> str:
    """Return the page with its table made anew."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = "".join(_line(row, told.get(row.number, "not run yet")) for row in rows())
    return f"{before}{_BEGIN}\n{_HEAD}{lines}{_END}{after}"


def _line(row: Row, told: str) -> str:
    numbers = "all" if len(row.invariants) == 12 else " ".join(f"I{number}" for number in row.invariants)
    state = told if row.scenario is not None else NOT_WRITTEN.lower()
    return f"| F{row.number} | {row.title}: {row.fault} | {row.expected} | {numbers} | {state} |\n"


def _told(outcome: Outcome) -> str:
    if outcome.result == NOT_WRITTEN:
        return outcome.result.lower()
    figures = f"; {outcome.told}" if outcome.told and outcome.result != "BROKEN" else ""
    return f"{outcome.result}, {date.today():%Y-%m-%d}{figures}".replace("|", "/")
