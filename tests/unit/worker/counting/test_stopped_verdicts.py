"""What a verdict says of slides whose counting stopped early, also when their lab has changed its rule since."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from db.counts import SlideTally, Stop, Tally
from tests.support.tallies import marrow_of, tally_of
from worker.rules import DEFAULT_RULE
from worker.verdict import decide

ADAPTIVE = "marrowline-2026.3-adaptive"
STOP = Stop(n_read=6, rule=ADAPTIVE, look=500, cells=520, share=0.015625, reason="clear of every threshold")
COUNTS = {"neutrophil": 200, "immature_granulocyte": 150, "erythroblast": 150, "plasma_cell": 20}


def judged(*stops: Stop | None, rule: str = ADAPTIVE) -> Tally:
    slides = tuple(SlideTally(slide_id=no, counts=COUNTS, abstained=0, stop=stop) for no, stop in enumerate(stops, 1))
    return tally_of(marrow_of(*slides), rule=rule)


def test_a_verdict_says_of_every_slide_with_looks_where_and_why_its_counting_ended() -> None:
    counting = decide(judged(STOP, None, STOP)).evidence["counting"]
    assert [one["slide_id"] for one in counting] == [1, 3]
    wanted = asdict(STOP) | {"slide_id": 1, "batches_read": 6, "error_share": 0.015625}
    assert counting[0] == {name: value for name, value in wanted.items() if name not in ("n_read", "share")}


def test_a_slide_read_whole_by_a_rule_without_looks_is_not_named() -> None:
    assert decide(judged(None)).evidence["counting"] == []


@pytest.mark.parametrize("rule", [ADAPTIVE, DEFAULT_RULE])
def test_what_looks_have_spent_stays_spent_under_any_rule(rule: str) -> None:
    whole, stopped = (decide(judged(stop, rule=rule)) for stop in (None, STOP))
    assert stopped.shares["plasma_cell"].ci_low < whole.shares["plasma_cell"].ci_low
    assert stopped.shares["plasma_cell"].ci_high > whole.shares["plasma_cell"].ci_high
    assert stopped.evidence["counting"][0]["rule"] == ADAPTIVE
