from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from worker.training.classification.evaluation.comparison import delong_p, swapped_p


def _units(count: int) -> np.ndarray:
    return np.array([f"u{n}" for n in range(count)])


@settings(max_examples=25)
@given(first=st.integers(0, 40), second=st.integers(0, 40), both=st.integers(0, 5))
def test_of_single_units_it_is_mcnemars_exact_test(first: int, second: int, both: int) -> None:
    right = np.array([True] * first + [False] * second + [True] * both)
    also = np.array([False] * first + [True] * second + [True] * both)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert swapped_p(right, also, _units(len(right))) == pytest.approx(expected)


def test_groups_that_answer_alike_count_once() -> None:
    right = np.ones(30, np.bool_)
    also = np.zeros(30, np.bool_)
    assert swapped_p(right, also, _units(30)) == pytest.approx(2 * 0.5**30)
    assert swapped_p(right, also, np.repeat(["a", "b", "c"], 10)) == pytest.approx(2 * 0.5**3)


def test_groups_of_unequal_surplus_are_swapped_in_every_way() -> None:
    # Surpluses 3, 2 and -1: of the 8 sums of ±3 ±2 ±1, those as far out as 4 are ±4 and ±6.
    right = np.array([1, 1, 1, 1, 1, 0], np.bool_)
    assert swapped_p(right, ~right, np.array(["a", "a", "a", "b", "b", "c"])) == pytest.approx(4 / 8)


def _naive_delong(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return z by the definition: the kernel of every pair of a positive and a negative."""
    tens, ones = [], []
    for scores in (first, second):
        gaps = scores[truth][:, None] - scores[~truth][None]
        kernel = (gaps > 0) + 0.5 * (gaps == 0)
        tens.append(kernel.mean(axis=1))
        ones.append(kernel.mean(axis=0))
    covariance = np.cov(tens) / truth.sum() + np.cov(ones) / (~truth).sum()
    gap = tens[0].mean() - tens[1].mean()
    return float(gap / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


@pytest.mark.parametrize("steps", [5, 1000])  # many ties, and hardly any
def test_of_single_units_it_is_delongs_test(steps: int) -> None:
    random = np.random.default_rng(steps)
    truth = random.random(80) < 0.4
    first = np.round((truth * 0.8 + random.normal(size=80)) * steps) / steps
    second = np.round((truth * 0.4 + random.normal(size=80)) * steps) / steps
    gap, p = delong_p(truth, first, second, _units(80))
    assert gap == pytest.approx(roc_auc_score(truth, first) - roc_auc_score(truth, second))
    z = _naive_delong(truth, first, second)
    assert p == pytest.approx(erfc(abs(z) / sqrt(2)))


def test_repeating_every_unit_in_its_group_adds_no_certainty() -> None:
    random = np.random.default_rng(1)
    truth = random.random(60) < 0.5
    first, second = truth + random.normal(size=60), truth * 0.2 + random.normal(size=60)
    alone = delong_p(truth, first, second, _units(60))
    truth, first, second = np.tile(truth, 4), np.tile(first, 4), np.tile(second, 4)
    tiled = delong_p(truth, first, second, np.tile(_units(60), 4))
    naive = delong_p(truth, first, second, _units(240))
    assert tiled == pytest.approx(alone)
    assert naive[1] < alone[1]


def test_by_group_the_p_is_even_when_two_systems_are_equally_good() -> None:
    ps = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        truth = np.tile([True, False], 90)
        groups = np.repeat(np.arange(30), 6)
        shared = random.normal(size=(2, 30))[:, groups]
        first, second = truth + shared + random.normal(size=(2, 180))
        ps.append(delong_p(truth, first, second, groups.astype(np.str_))[1])
    assert 0.02 <= np.mean(np.array(ps) < 0.05) <= 0.10


def test_the_same_ranking_twice_is_no_difference() -> None:
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.1, 0.4, 0.6])
    assert delong_p(truth, scores, scores * 2, _units(4)) == (0.0, 1.0)


def test_a_kind_from_a_single_group_allows_no_test() -> None:
    truth = np.array([True, True, False, False])
    groups = np.array(["a", "a", "b", "c"])
    assert np.isnan(delong_p(truth, np.array([0.9, 0.1, 0.4, 0.6]), np.arange(4.0), groups)[1])
