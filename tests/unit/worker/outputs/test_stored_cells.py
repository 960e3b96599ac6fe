from __future__ import annotations

import pytest

from tests.support.export_cases import CELL, SLIDE, case_with
from worker.outputs import stored_cells
from worker.outputs.stored_cells import Passing


def test_cells_pass_unchanged_and_are_told_of_slide_by_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_cells, "TOLD_EVERY", 2)
    told: list[tuple[str, int, int]] = []
    passing = Passing(tell=lambda *at: told.append(at), total=6)
    assert list(passing.along("a", [CELL] * 3)) == [CELL] * 3
    assert list(passing.along("b", [CELL] * 3)) == [CELL] * 3
    assert told == [("a", 2, 6), ("a", 3, 6), ("b", 4, 6), ("b", 6, 6), ("b", 6, 6)]


def test_the_total_is_of_the_slides_that_were_read() -> None:
    assert Passing.of(case_with(SLIDE, SLIDE), lambda *_: None).total == 2
