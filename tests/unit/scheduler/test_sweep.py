from __future__ import annotations

import pytest

from scheduler.sweep import budget_for


@pytest.mark.parametrize(("live", "budget"), [(0, 8), (1, 8), (2, 8), (3, 12), (100, 400)])
def test_the_budget_grows_with_the_workers_and_never_starves_them(live: int, budget: int) -> None:
    assert budget_for(live) == budget
