from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.support.outcomes import outcome
from worker.training.classification.evaluation.intervals import (
    Draws,
    difference,
    drawn_statistics,
    figure,
    group_draws,
)
from worker.training.classification.evaluation.metrics import statistics


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    judged = outcome(count=40, groups=8)
    draws = group_draws(judged.group.tolist(), 50)
    assert (draws.counts.sum(axis=1) == 8).all()
    weights = draws.weights(judged, slice(0, 50))
    for group in np.unique(judged.group):
        assert (np.ptp(weights[:, judged.group == group], axis=1) == 0).all()


def test_the_same_groups_are_drawn_alike_in_any_order() -> None:
    np.testing.assert_array_equal(group_draws(["b", "a", "b"]).counts, group_draws(["a", "b"]).counts)


def test_the_spread_of_the_mean_of_independent_groups_is_the_known_one() -> None:
    judged = outcome(count=400, groups=400, skill=0.6)
    share = (judged.called == judged.truth).mean()
    drawn = drawn_statistics(judged, group_draws(judged.group.tolist()))["accuracy"]
    assert drawn.mean() == pytest.approx(share, abs=0.005)
    assert drawn.std() == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.1)


def test_alike_cells_of_one_group_widen_the_interval() -> None:
    truth = np.tile([0, 1], 30)
    alone = outcome(count=60, groups=60, truth=truth)
    wrong = np.arange(60) < 12
    found = np.where((truth ^ wrong)[:, None] == [0, 1], 0.9, 0.1).astype(np.float32)
    single = outcome(count=60, groups=60, truth=truth, probabilities=found)
    sixes = outcome(count=60, truth=truth, probabilities=found, group=np.array([f"g{n // 6}" for n in range(60)]))
    spread = [drawn_statistics(o, group_draws(o.group.tolist()))["accuracy"].std() for o in (single, sixes)]
    assert spread[1] > 2 * spread[0]
    assert len(alone) == len(sixes)


def test_samples_taken_in_parts_are_those_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = outcome(count=40)
    draws = group_draws(judged.group.tolist(), 30)
    whole = statistics(judged, draws.weights(judged, slice(0, 30)))
    monkeypatch.setattr("worker.training.classification.evaluation.intervals._AT_ONCE", 7 * 40)
    parts = drawn_statistics(judged, draws)
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, err_msg=name)


def test_an_interval_is_that_of_the_percentiles() -> None:
    found = figure(0.5, np.linspace(0, 1, 1001), 10)
    assert [found.low, found.high] == pytest.approx([0.025, 0.975])


@pytest.mark.parametrize("groups", [2, 8, 30])
def test_without_an_error_the_open_bound_is_the_exact_binomial_one(groups: int) -> None:
    found = figure(1.0, np.ones(100), groups)
    exact = binomtest(groups, groups).proportion_ci(method="exact")
    assert [found.low, found.high] == pytest.approx([exact.low, 1])
    none = figure(0.0, np.zeros(100), groups)
    assert [none.low, none.high] == pytest.approx([0, 1 - exact.low])


def test_one_group_has_no_interval_and_samples_without_a_class_are_left_out() -> None:
    assert figure(0.5, np.linspace(0, 1, 9), 1).low is None
    assert figure(0.5, np.array([np.nan, 0.4, 0.6]), 5).low == pytest.approx(0.405)
    assert figure(0.5, np.array([np.nan]), 5).high is None


def test_a_difference_is_paired_by_sample() -> None:
    drawn = np.linspace(0.2, 0.8, 101)
    found = difference((0.6, drawn + 0.1 + drawn * 1e-6), (0.5, drawn), 10)
    assert found.value == pytest.approx(0.1)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 1e-5
    assert found.excludes_zero


def test_two_systems_that_never_err_tell_nothing_of_other_groups() -> None:
    assert difference((1.0, np.ones(9)), (1.0, np.ones(9)), 9).low is None


def test_draws_hold_the_groups_of_both_protocols() -> None:
    draws = Draws(groups=("g0", "g1", "g2"), counts=np.array([[0, 1, 2]]))
    judged = outcome(count=4, groups=2)
    np.testing.assert_array_equal(draws.weights(judged, slice(0, 1)), [[0, 1, 0, 1]])
