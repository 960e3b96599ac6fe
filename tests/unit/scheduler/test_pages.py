from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import Engine

from db.session import make_engine
from scheduler import pages
from scheduler.pages import most_pages
from scheduler.sweep import budget_for


@pytest.mark.parametrize(("live", "most"), [(0, 1), (1, 1), (4, 1), (8, 2), (100, 25)])
def test_most_workers_go_on_reading_while_reports_are_written(live: int, most: int) -> None:
    assert most_pages(live) == most < budget_for(live)


@pytest.mark.parametrize(("seconds_each", "given"), [(0.1, 25), (3, 4), (60, 1)])
def test_cases_that_take_long_to_gather_are_left_to_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch, seconds_each: float, given: int
) -> None:
    clock = SimpleNamespace(now=0.0)

    def hand_out(engine: Engine, patient_id: int) -> bool:  # noqa: ARG001 - the module's own
        clock.now += seconds_each
        return True

    monkeypatch.setattr(pages, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(pages, "transact", lambda *_, **__: list(range(100)))
    monkeypatch.setattr(pages, "_hand_out", hand_out)
    assert len(pages._hand_out_some(make_engine("postgresql://nobody@127.0.0.1:1/none"), 25)) == given
