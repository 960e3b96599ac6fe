from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.fuzzy.mamdani import Rule, System, Term, Variable, infer

LOW = Term(name="low", start=0.2, full=0.2, full_to=0.2, end=0.6)
HIGH = Term(name="high", start=0.2, full=0.6, full_to=0.6, end=0.6)


def variable(name: str, *terms: Term) -> Variable:
    return Variable(name=name, meaning="", unit="", low=0.0, high=1.0, terms=terms, source="made up")


def rule(conditions: Mapping[str, str], term: str) -> Rule:
    return Rule(conditions=conditions, output="risk", term=term, why="")


SMALL = Term(name="small", start=0.0, full=0.0, full_to=0.0, end=0.5)
GREAT = Term(name="great", start=0.5, full=1.0, full_to=1.0, end=1.0)
SYSTEM = System(
    name="made-up",
    dated=date(2026, 11, 23),
    inputs=(variable("heat", LOW, HIGH), variable("smoke", LOW, HIGH)),
    outputs=(variable("risk", SMALL, GREAT),),
    rules=(rule({"heat": "high", "smoke": "high"}, "great"), rule({"heat": "low"}, "small")),
)


def test_a_word_holds_wholly_between_its_corners_and_fades_beyond() -> None:
    word = Term(name="middle", start=1.0, full=2.0, full_to=3.0, end=5.0)
    at = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 9.0])
    assert word.holds(at).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_a_shoulder_holds_however_far_out() -> None:
    assert LOW.holds(np.array([-9.0, 0.2, 0.4, 0.6])).round(12).tolist() == [1.0, 1.0, 0.5, 0.0]
    assert HIGH.holds(np.array([0.2, 0.4, 0.6, 9.0])).round(12).tolist() == [0.0, 0.5, 1.0, 1.0]


def test_a_rule_fires_as_strongly_as_its_weakest_condition() -> None:
    found = infer(SYSTEM, {"heat": 0.5, "smoke": 0.3})
    assert found.strengths == pytest.approx((0.25, 0.25))


def test_the_score_is_the_centre_of_gravity_of_what_is_concluded() -> None:
    # A right triangle from 0.5 to 1 has its centre of gravity two thirds of the way.
    assert infer(SYSTEM, {"heat": 0.9, "smoke": 0.9}).scores["risk"] == pytest.approx(0.5 + 0.5 * 2 / 3, abs=1e-3)
    # Half as strong, it loses its tip: what is left is a trapezium from 0.5 with its top from 0.75 to 1.
    half = infer(replace(SYSTEM, rules=SYSTEM.rules[:1]), {"heat": 0.4, "smoke": 0.9})
    assert half.scores["risk"] == pytest.approx(0.5 + 0.5 * 11 / 18, abs=1e-3)


def test_of_an_unknown_value_no_word_holds() -> None:
    found = infer(SYSTEM, {"heat": 0.0, "smoke": None})
    assert found.strengths == (0.0, 1.0)
    assert found.inputs == {"heat": 0.0, "smoke": None}


def test_what_no_rule_speaks_of_has_no_score() -> None:
    with pytest.raises(ValueError, match="no rule on risk fires"):
        infer(SYSTEM, {"heat": 0.9, "smoke": 0.0})


def test_an_input_that_is_left_out_or_no_number_is_refused() -> None:
    with pytest.raises(KeyError):
        infer(SYSTEM, {"heat": 0.9})
    with pytest.raises(ValueError, match="not a number: smoke"):
        infer(SYSTEM, {"heat": 0.9, "smoke": float("nan")})


@pytest.mark.parametrize("wrong", [rule({"heet": "low"}, "small"), rule({"heat": "hihg"}, "small"), rule({}, "tiny")])
def test_a_misspelt_rule_is_refused_when_it_is_written(wrong: Rule) -> None:
    with pytest.raises(KeyError):
        replace(SYSTEM, rules=(*SYSTEM.rules, wrong))


def test_a_rule_reads_as_a_sentence() -> None:
    assert SYSTEM.rules[0].text == "IF heat is high AND smoke is high THEN risk is great"


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_scores_lie_where_the_words_do(heat: float, smoke: float) -> None:
    whole = replace(SYSTEM, rules=(*SYSTEM.rules, rule({"smoke": "low"}, "small")))
    score = infer(whole, {"heat": heat, "smoke": smoke}).scores["risk"]
    assert 1 / 6 - 1e-3 <= score <= 5 / 6 + 1e-3
