from __future__ import annotations

from pathlib import Path

from tests.faults.__main__ import escaped_of
from tests.faults.catalogue import SCENARIOS, rows
from tests.faults.changes import CHANGES, MUTANTS
from tests.faults.document import PAGE, told_in, with_table, write
from tests.faults.ground import Ground
from tests.faults.invariants import INVARIANTS
from tests.faults.stage import BROKEN, Outcome

NUMBERS = [row.number for row in rows()]


def test_the_matrix_has_fifty_rows() -> None:
    assert list(range(1, 51)) == NUMBERS


def test_every_scenario_belongs_to_a_row_and_every_row_asks_something() -> None:
    assert set(SCENARIOS) <= set(NUMBERS)
    assert all(row.invariants and set(row.invariants) <= set(INVARIANTS) for row in rows())


def test_every_mutant_takes_away_something_and_is_caught_by_a_row_that_exists() -> None:
    assert {mutant.change for mutant in MUTANTS} <= set(CHANGES)
    assert {mutant.row for mutant in MUTANTS} <= set(SCENARIOS)


def test_a_row_that_breaks_with_every_guard_in_place_catches_no_mutant() -> None:
    ground = Ground.__new__(Ground)  # bare: no mutant may be tried
    outcomes = [Outcome(row=row, result=BROKEN) for row in rows()]
    assert escaped_of(ground, outcomes) == [mutant.change for mutant in MUTANTS]


def test_the_page_shows_the_matrix_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text, told_in(text))


def test_what_came_of_a_row_is_told_and_the_other_rows_keep_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    before = told_in(page.read_text(encoding="utf-8"))
    first = rows()[0]
    write([Outcome(row=first, result="held", told="a figure | with a bar")], page=page)
    after = told_in(page.read_text(encoding="utf-8"))
    assert after.pop(1).endswith("; a figure / with a bar")
    before.pop(1)
    assert after == before
