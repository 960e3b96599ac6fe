import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.crops import discs
from worker.training.classification.certainty import certainty, error_at
from worker.training.classification.data import CLASSES, Label

ONE, TWO, OTHER = CellClass.LYMPHOCYTE, CellClass.PLASMA_CELL, CellClass.EOSINOPHIL
BLAST = frozenset({CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER})


def _sample(number: int, boast: float) -> tuple[NDArray[np.float32], list[Label]]:
    """Return answers that are right as often as they claim, made surer by `boast`, with the truth."""
    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1.0, number)
    right = rng.random(number) < sure
    claimed = sure**boast / (sure**boast + (1 - sure) ** boast)
    found = np.zeros((number, len(CLASSES)), dtype=np.float32)
    found[:, CLASSES.index(ONE)], found[:, CLASSES.index(TWO)] = claimed, 1 - claimed
    return found, [frozenset({ONE if is_right else TWO}) for is_right in right]


def test_an_honest_model_is_found_calibrated_and_a_boasting_one_is_not() -> None:
    honest, boasting = _sample(600, 1.0), _sample(600, 2.5)
    assert certainty(honest[0], discs(honest[1]))["is_calibrated"]
    figures = certainty(boasting[0], discs(boasting[1]))
    assert not figures["is_calibrated"]
    assert figures["calibration_error"] > figures["calibration_error_of_perfect_95"]


def test_the_error_of_the_surest_is_told_beside_that_of_all() -> None:
    sure = np.linspace(1.0, 0.5, 20)
    right = np.array([True] * 17 + [False] * 3)
    assert error_at(sure, right, 0.9) == pytest.approx(1 / 18)
    assert error_at(sure, right, 1.0) == pytest.approx(3 / 20)
    assert error_at(sure[:1], right[:1], 0.9) == 0.0


def test_errors_that_are_the_least_sure_answers_are_halved_by_leaving_them() -> None:
    found = np.zeros((20, len(CLASSES)), dtype=np.float32)
    found[:, CLASSES.index(ONE)] = np.linspace(0.99, 0.6, 20)
    found[:, CLASSES.index(OTHER)] = 1 - found[:, CLASSES.index(ONE)]
    figures = certainty(found, discs([frozenset({ONE})] * 18 + [frozenset({TWO})] * 2))
    assert (figures["error"], figures["error_at_coverage"], figures["halves"]) == (0.1, 0.0, True)


def test_classes_that_a_label_leaves_open_are_one_answer_for_every_crop() -> None:
    found = np.zeros((3, len(CLASSES)), dtype=np.float32)
    for name, share in ((CellClass.LYMPHOBLAST, 0.3), (CellClass.BLAST_OTHER, 0.3), (ONE, 0.4)):
        found[:, CLASSES.index(name)] = share
    labels = [BLAST, frozenset({CellClass.LYMPHOBLAST}), frozenset({ONE})]
    assert certainty(found, discs(labels))["error"] == pytest.approx(1 / 3, abs=1e-4)


def test_a_label_between_other_classes_joins_none_and_is_left_out() -> None:
    found = np.zeros((3, len(CLASSES)), dtype=np.float32)
    found[:, CLASSES.index(ONE)], found[:, CLASSES.index(CellClass.LYMPHOBLAST)] = 0.6, 0.4
    either = frozenset({ONE, CellClass.LYMPHOBLAST})
    figures = certainty(found, discs([either, BLAST, frozenset({CellClass.LYMPHOBLAST})]))
    assert (figures["crops"], figures["error"]) == (2, 1.0)


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(ValueError, match="can be judged"):
        certainty(np.ones((1, len(CLASSES)), dtype=np.float32), discs([frozenset()]))
