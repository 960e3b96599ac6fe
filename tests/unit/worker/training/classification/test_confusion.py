import numpy as np
import torch

from db.records import CellClass
from tests.support.crops import discs, one_of_each
from tests.support.models import card_of
from worker.cells.classify import Calls
from worker.nets.architectures import build, channels_of
from worker.nets.cards import version_of
from worker.training.classification.confusion import confusion, with_confusion
from worker.training.classification.data import CLASSES, CropSet, Label, joined

LYMPHOCYTE, PLASMA, PLATELET = CellClass.LYMPHOCYTE, CellClass.PLASMA_CELL, CellClass.PLATELET


def _crops(*labels: Label) -> CropSet:
    return discs(list(labels))


def _calls(*rows: tuple[CellClass, bool]) -> Calls:
    index = np.array([CLASSES.index(c) for c, _ in rows])
    abstained = np.array([left for _, left in rows])
    return Calls(
        probabilities=np.eye(len(CLASSES), dtype=np.float32)[index],
        index=index,
        abstained=abstained,
        outlying=np.zeros(len(rows), dtype=np.bool_),
    )


def test_rows_are_the_truth_and_columns_the_calls() -> None:
    crops = _crops(frozenset({LYMPHOCYTE}), frozenset({LYMPHOCYTE}), frozenset({PLASMA}))
    found = confusion(_calls((LYMPHOCYTE, False), (PLASMA, False), (PLASMA, True)), crops)
    row = found.counts[CLASSES.index(LYMPHOCYTE)]
    assert (row[CLASSES.index(LYMPHOCYTE)], row[CLASSES.index(PLASMA)], row[-1]) == (1, 1, 0)
    assert found.counts[CLASSES.index(PLASMA)][-1] == 1
    assert sum(map(sum, found.counts)) == 3


def test_what_a_patients_counts_leave_out_is_left_out() -> None:
    crops = _crops(frozenset({LYMPHOCYTE}), frozenset({PLATELET}), frozenset({PLATELET}))
    found = confusion(_calls((PLATELET, True), (PLATELET, False), (LYMPHOCYTE, True)), crops)
    assert sum(found.counts[CLASSES.index(LYMPHOCYTE)]) == 0
    assert found.counts[CLASSES.index(PLATELET)][CLASSES.index(PLATELET)] == 1
    assert found.counts[CLASSES.index(PLATELET)][-1] == 1


def test_labels_that_leave_classes_open_and_outliers_are_left_out() -> None:
    crops = _crops(frozenset({LYMPHOCYTE, PLASMA}), frozenset())
    assert not np.any(confusion(_calls((PLASMA, False), (PLASMA, False)), crops).counts)


def test_drawn_crops_fill_in_where_photographed_ones_are_few() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = build("hybrid", channels_of("hybrid", 1 / 32), len(CLASSES))
    photographed = discs([frozenset({LYMPHOCYTE})] * 12 + [frozenset({PLASMA})] * 3)
    crops = joined([photographed, discs(one_of_each(5), source="drawn_cells")])
    card = with_confusion(net, crops, card_of(net, CLASSES))
    matrix = version_of(card).confusion
    assert matrix is not None
    counted = {name: sum(row) for name, row in zip(matrix.classes, matrix.counts, strict=True) if sum(row)}
    assert counted == {"lymphocyte": 12, "plasma_cell": 3 + 5, "eosinophil": 5}
    assert card.figures["confusion_drawn"] == ["plasma_cell", "eosinophil"]
