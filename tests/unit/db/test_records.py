from __future__ import annotations

import pytest

from db.records import Confusion


def test_a_confusion_has_a_row_for_each_class_and_a_column_more_for_abstained_cells() -> None:
    found = Confusion(classes=("blast", "other"), counts=((8, 1, 1), (0, 9, 3)))
    assert sum(row[-1] for row in found.counts) == 4


@pytest.mark.parametrize("counts", [((1, 0),), ((1, 0, 0),), ((1, 0, 0), (0, 1)), ((1, 0, 0), (0, -1, 0))])
def test_a_confusion_that_cannot_be_one_is_refused(counts: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="confusion"):
        Confusion(classes=("blast", "other"), counts=counts)
