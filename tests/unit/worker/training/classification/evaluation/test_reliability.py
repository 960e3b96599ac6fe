from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.outcomes import outcome
from worker.training.classification.evaluation.outcome import Outcome
from worker.training.classification.evaluation.reliability import BINS, reliability


def _with_confidence(confidence: list[float], right: list[bool]) -> Outcome:
    called = np.array(confidence, np.float32)
    return outcome(
        count=len(called),
        truth=np.where(right, 1, 0),
        probabilities=np.stack([1 - called, called], axis=1),
    )


def test_the_error_counted_by_hand() -> None:
    # Four of confidence 0.95 of which three are right, two of 0.65 of which none is.
    found = reliability(_with_confidence([0.95] * 4 + [0.65] * 2, [True, True, True, False, False, False]))
    assert found.error == pytest.approx((4 * 0.2 + 2 * 0.65) / 6, abs=1e-6)
    assert found.count[14] == 4
    assert found.accuracy[14] == pytest.approx(0.75)
    assert found.confidence[9] == pytest.approx(0.65)
    assert np.isnan(found.accuracy[0])


def test_certainty_falls_into_the_last_bin() -> None:
    assert reliability(_with_confidence([1.0, 1.0], [True, False])).count[BINS - 1] == 2


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_calibrated_models_stay_under_the_limit_in_about_95_of_100_samples(classes: tuple[str, ...]) -> None:
    under = 0
    for draw in range(100):
        random = np.random.default_rng(draw)
        probabilities = random.dirichlet(np.ones(len(classes)), 200).astype(np.float32)
        truth = (random.random((200, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=len(classes) - 1)
        made = outcome(count=200, classes=classes, truth=truth, probabilities=probabilities)
        under += reliability(made, draws=100).is_calibrated
    assert 88 <= under <= 99


def test_an_overconfident_model_is_found_out() -> None:
    honest = outcome(count=400, skill=0.8)
    sharp = honest.probabilities.astype(np.float64) ** 4
    boastful = replace(honest, probabilities=(sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32))
    assert reliability(honest).is_calibrated
    assert not reliability(boastful).is_calibrated


def test_the_band_holds_the_accuracy_of_a_calibrated_model() -> None:
    found = reliability(outcome(count=1500, skill=0.8))
    filled = found.count > 0
    inside = (found.accuracy >= found.band[0]) & (found.accuracy <= found.band[1])
    assert inside[filled].mean() > 0.8
    assert np.isnan(found.band[:, ~filled]).all()
