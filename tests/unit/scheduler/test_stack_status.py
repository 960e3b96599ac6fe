from __future__ import annotations

import pytest

from scheduler.commands.stack import load_in_words
from scheduler.live import Load

LOAD = Load(
    messages=1, waiting=2, reading=3, done=4, quarantined=5, oldest_waiting_s=6.0, workers=7, bucket="b",
    reports_due=8, reports_given_up=9, reports_put=10,
)  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "told"),
    [(True, "8 to be written, 9 given up, 10 put within 24 h"), (False, "MARROWLINE_REPORTS")],
)
def test_reports_that_nobody_is_to_write_are_not_said_to_wait(reports: bool, told: str) -> None:
    words = load_in_words(LOAD, reports=reports)["reports"]
    assert told in words
    assert ("8" in words) == reports
