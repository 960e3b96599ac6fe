from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.crops import discs, one_of_each
from tests.support.models import card_of
from worker.nets.architectures import build, channels_of
from worker.nets.classifier import Classifier
from worker.training.classification.calibrate import abstain_limit, at_temperature, best_temperature, calibrated
from worker.training.classification.called import called
from worker.training.classification.data import CLASSES, CropSet, Label, joined

LYMPHOCYTE, PLASMA = frozenset({CellClass.LYMPHOCYTE}), frozenset({CellClass.PLASMA_CELL})


def _told(*rows: dict[CellClass, float]) -> NDArray[np.float32]:
    return np.array([[row.get(CellClass(c), 0.0) for c in CLASSES] for row in rows], dtype=np.float32)


def _crops(*labels: Label) -> CropSet:
    return discs(list(labels))


@pytest.fixture(scope="module")
def net() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return build("hybrid", channels_of("hybrid", 1 / 32), len(CLASSES)).eval()


def test_the_temperature_undoes_overconfidence() -> None:
    honest = _told(*[{CellClass.LYMPHOCYTE: 0.7, CellClass.PLASMA_CELL: 0.3}] * 100)
    boasting = honest**2 / (honest**2).sum(axis=1, keepdims=True)
    labels = [LYMPHOCYTE] * 70 + [PLASMA] * 30
    assert best_temperature(boasting, _crops(*labels)) == pytest.approx(2.0, rel=0.03)


def test_the_limit_keeps_the_risk_of_the_calls_small() -> None:
    sure, unsure = {CellClass.LYMPHOCYTE: 0.9}, {CellClass.LYMPHOCYTE: 0.455}
    crops = _crops(*[LYMPHOCYTE] * 95, *[PLASMA] * 5)
    limit = abstain_limit(_told(*[sure] * 95, *[unsure] * 5), crops, accepted_risk=0.01)
    assert 0.455 < limit <= 0.9


def test_the_limit_never_leaves_too_many_cells_uncalled() -> None:
    crops = _crops(*[PLASMA] * 10)
    told = _told(*[{CellClass.LYMPHOCYTE: 0.505}] * 5, *[{CellClass.LYMPHOCYTE: 0.8}] * 5)
    assert abstain_limit(told, crops) == 0.5


@given(found=st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), temperature=st.floats(0.3, 3.0))
def test_a_temperature_leaves_the_order_and_can_be_taken_back(found: list[float], temperature: float) -> None:
    rows = np.array([found], dtype=np.float32) / np.float32(sum(found))
    warm = at_temperature(rows, temperature)
    assert warm.sum() == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(warm[0][rows[0].argsort()]) >= -1e-6)
    assert at_temperature(warm, 1 / temperature) == pytest.approx(rows, abs=1e-4)


def test_a_card_says_what_its_limit_is_made_for_and_what_it_reached(net: Classifier) -> None:
    card = calibrated(net, discs(one_of_each(6)), card_of(net, CLASSES))
    assert 0.4 <= card.temperature <= 3.0
    assert card.figures["calibration"].keys() == {"crops", "accepted_risk", "least_coverage", "risk", "coverage"}
    assert card.figures["calibration"]["coverage"] >= card.figures["calibration"]["least_coverage"]


def test_the_probabilities_that_are_calibrated_are_those_of_the_product(net: Classifier) -> None:
    crops, card = discs(one_of_each(2)), card_of(net, CLASSES)
    at_one = called(net, crops, card).probabilities
    warm = called(net, crops, replace(card, temperature=2.0)).probabilities
    assert at_temperature(at_one, 2.0) == pytest.approx(warm, abs=1e-5)


def test_drawn_crops_decide_only_where_there_are_no_others(net: Classifier) -> None:
    photographed, drawn = discs(one_of_each(4)), discs(one_of_each(9), source="drawn_cells")
    card = card_of(net, CLASSES)
    assert calibrated(net, joined([photographed, drawn]), card) == calibrated(net, photographed, card)
    assert calibrated(net, drawn, card).figures["calibration"]["crops"] == 27


def test_crops_without_a_label_to_judge_calibrate_nothing(net: Classifier) -> None:
    with pytest.raises(ValueError, match="can be judged"):
        calibrated(net, discs([frozenset()] * 3), card_of(net, CLASSES))
