"""Row 6 strikes every named point: those that the code has, no more and no fewer."""

from __future__ import annotations

import re

from tests.faults.ground import ROOT
from tests.faults.rows_workers import PAGE_POINTS, SCHEDULER_POINTS, WORKER_POINTS

NAMED = re.compile(r'\bfaultpoint\("([a-z.]+)"\)')


def test_the_named_points_are_those_of_the_code() -> None:
    sources = [path for package in ("db", "scheduler", "worker") for path in (ROOT / package).rglob("*.py")]
    found = [point for path in sources for point in NAMED.findall(path.read_text(encoding="utf-8")) if point != "name"]
    assert sorted(found) == sorted((*WORKER_POINTS, *PAGE_POINTS, *SCHEDULER_POINTS))
