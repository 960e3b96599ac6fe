from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from db.records import CellClass
from tests.support.crops import discs
from worker.cells.classify import Calls
from worker.training.classification.data import CLASSES, CropSet, joined
from worker.training.classification.questions import questions
from worker.training.classification.sources.labels import NOT_PLASMA

PLASMA = frozenset({CellClass.PLASMA_CELL})
LYMPHOCYTE = frozenset({CellClass.LYMPHOCYTE})
NEUTROPHIL = frozenset({CellClass.NEUTROPHIL})


def said_of(crops: CropSet, probability: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return calls that give one class the probability and share the rest among the others."""
    said = np.repeat(((1 - probability) / (len(CLASSES) - 1))[:, None], len(CLASSES), axis=1)
    said[:, CLASSES.index(name)] = probability
    return np.asarray(said[: len(crops)], dtype=np.float32)


def calls(probabilities: NDArray[np.float32]) -> Calls:
    none = np.zeros(len(probabilities), dtype=np.bool_)
    return Calls(probabilities=probabilities, index=probabilities.argmax(axis=1), abstained=none, outlying=none)


def test_plasma_cells_of_a_set_are_ranked_against_its_other_cells_only() -> None:
    rng = np.random.default_rng(5)
    own = discs([PLASMA] * 20 + [NOT_PLASMA] * 30, source="segpc_mm_512")
    other = discs([PLASMA, NEUTROPHIL] * 10, source="field")
    is_plasma = np.array([True] * 20 + [False] * 30)
    probability = np.clip(rng.normal(0.4 + 0.2 * is_plasma, 0.2), 0.01, 0.99).astype(np.float32)
    asked: list[CropSet] = []

    def call(crops: CropSet) -> Calls:
        asked.append(crops)
        return calls(said_of(crops, probability, "plasma_cell"))

    found = questions(call, {"val": joined([own, other]), "test": other})
    assert list(found) == ["val"]
    assert list(found["val"]) == ["segpc"]
    row = found["val"]["segpc"]
    assert [len(one) for one in asked] == [50]
    assert row["cells"] == 50
    assert row["auc"]["value"] == pytest.approx(roc_auc_score(is_plasma, probability), abs=1e-4)
    wanted = balanced_accuracy_score(is_plasma, probability > 0.5)
    assert row["balanced_accuracy"]["value"] == pytest.approx(wanted, abs=1e-4)
    assert row["auc"]["low"] < row["auc"]["value"] < row["auc"]["high"]


def test_types_are_asked_among_the_types_of_the_set() -> None:
    own = discs([LYMPHOCYTE] * 4 + [NEUTROPHIL] * 4, source="pbc_normal_wbc")
    # Most of each call goes to a class that the set has not; of the rest, seven in eight are right.
    said = np.full((8, len(CLASSES)), 0.01, dtype=np.float32)
    said[:, CLASSES.index("plasma_cell")] = 0.8
    said[:4, CLASSES.index("lymphocyte")] = 0.05
    said[4:7, CLASSES.index("neutrophil")] = 0.05
    said[7, CLASSES.index("lymphocyte")] = 0.05

    found = questions(lambda crops: calls(said[: len(crops)]), {"val": own, "test": own})
    assert found["test"]["pbc"]["balanced_accuracy"]["value"] == pytest.approx((1 + 0.75) / 2)


def test_a_part_with_one_kind_of_cell_asks_nothing() -> None:
    own = discs([PLASMA] * 4, source="segpc_mm_512")
    assert (
        questions(
            lambda crops: calls(np.zeros((len(crops), len(CLASSES)), np.float32)), dict.fromkeys(("val", "test"), own)
        )
        == {}
    )
