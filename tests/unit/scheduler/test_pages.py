from __future__ import annotations

import pytest

from scheduler.pages import most_pages
from scheduler.sweep import budget_for


@pytest.mark.parametrize(("live", "most"), [(0, 1), (1, 1), (4, 1), (8, 2), (100, 25)])
def test_most_workers_go_on_reading_while_reports_are_written(live: int, most: int) -> None:
    assert most_pages(live) == most < budget_for(live)
