import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.crops import discs, one_of_each
from worker.training.classification.data import CLASSES, CropSet, Label
from worker.training.classification.evaluate import balanced_accuracy, colour_baseline, correct, figures, judged

LYMPHOCYTE, PLASMA = frozenset({CellClass.LYMPHOCYTE}), frozenset({CellClass.PLASMA_CELL})
BLAST = frozenset({CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER})


def _told(*rows: dict[CellClass, float]) -> NDArray[np.float32]:
    return np.array([[row.get(CellClass(c), 0.0) for c in CLASSES] for row in rows], dtype=np.float32)


def _crops(*labels: Label) -> CropSet:
    return discs(list(labels))


def test_a_blast_of_unknown_lineage_is_scored_on_the_sum_of_both_classes() -> None:
    told = _told({CellClass.LYMPHOBLAST: 0.3, CellClass.BLAST_OTHER: 0.3, CellClass.MONOCYTE: 0.4})
    assert correct(told, _crops(BLAST).allowed).tolist() == [True]
    assert correct(told, _crops(LYMPHOCYTE).allowed).tolist() == [False]


def test_outliers_and_vague_labels_are_not_judged() -> None:
    vague = frozenset(map(CellClass, CLASSES)) - PLASMA
    assert judged(_crops(LYMPHOCYTE, BLAST, vague, frozenset())).tolist() == [True, True, False, False]


def test_balanced_accuracy_weighs_labels_alike() -> None:
    crops = _crops(LYMPHOCYTE, LYMPHOCYTE, LYMPHOCYTE, PLASMA)
    told = _told(*[{CellClass.LYMPHOCYTE: 1.0}] * 4)
    assert balanced_accuracy(told, crops) == pytest.approx(0.5)


def test_the_figures_count_what_was_called_what() -> None:
    crops = _crops(LYMPHOCYTE, LYMPHOCYTE, PLASMA)
    sure, unsure = {CellClass.LYMPHOCYTE: 0.9}, {CellClass.PLASMA_CELL: 0.4, CellClass.LYMPHOCYTE: 0.3}
    found = figures(_told(sure, unsure, unsure), crops, np.array([False, True, True]))
    assert found["confusion"] == {"lymphocyte": {"lymphocyte": 1, "plasma_cell": 1}, "plasma_cell": {"plasma_cell": 1}}
    assert found["recall"] == {"lymphocyte": 0.5, "plasma_cell": 1.0}
    assert found["precision"] == {"lymphocyte": 1.0, "plasma_cell": 0.5}
    assert found["coverage"] == pytest.approx(1 / 3, abs=1e-3)
    assert found["accuracy_of_called"] == 1.0


def test_the_baseline_sees_colour() -> None:
    train, test = discs(one_of_each(8), seed=1), discs(one_of_each(4), seed=2)
    assert colour_baseline(train, test) == 1.0
