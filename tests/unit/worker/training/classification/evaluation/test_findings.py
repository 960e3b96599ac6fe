from __future__ import annotations

import pytest

from tests.support.outcomes import outcome
from worker.training.classification.evaluation.findings import beside_colour
from worker.training.classification.evaluation.judging import judge
from worker.training.classification.evaluation.page import _facts
from worker.training.classification.evaluation.wording import TASKS


@pytest.mark.parametrize(("hybrid", "colour", "is_said"), [(1.0, 1.0, True), (0.2, 2.5, True), (2.5, 0.1, False)])
def test_colour_is_only_said_to_do_as_well_where_it_does(hybrid: float, colour: float, is_said: bool) -> None:
    pair = [outcome(arch="hybrid", skill=hybrid, count=200), outcome(arch="colour", skill=colour, count=200, draw=1)]
    assert ("not surely better than colour" in beside_colour(judge(pair), "segpc")) is is_said


def test_nothing_is_said_of_colour_that_was_not_compared() -> None:
    assert beside_colour(judge([outcome(arch="hybrid")]), "segpc") == ""
    assert beside_colour(judge([outcome(arch=arch, protocol="paper") for arch in ("hybrid", "colour")]), "segpc") == ""


def test_counts_are_those_of_the_outcome() -> None:
    counted = _facts("segpc", outcome(count=60, groups=10))[1]
    assert counted.startswith("units: a 30 in 9 groups; b 30 in 10 groups; groups: 10, by patient")


def test_cautions_hold_no_counts_and_no_findings() -> None:
    for task in TASKS.values():
        assert "colour alone" not in task.caution
        assert not [word for word in task.caution.split() if word.isdigit()]


def test_the_groups_of_normal_blood_are_said_as_they_are_made() -> None:
    assert "a label and the file number divided by 1,000 and rounded down" in TASKS["pbc"].caution
