from dataclasses import replace

import numpy as np
import pytest

from db.records import CellClass
from tests.support.crops import discs, one_of_each
from tests.support.grained import grained
from worker.errors import BadRequestError
from worker.training.classification.data import joined
from worker.training.classification.parts import checked_split

ONE = frozenset({CellClass.LYMPHOCYTE})


def test_crops_that_do_are_divided() -> None:
    parts = checked_split(grained(discs(one_of_each(20))), 3)
    assert all(len(part) for part in parts.values())


def test_a_copy_in_another_part_is_refused() -> None:
    crops = grained(discs(one_of_each(20)))
    copies = replace(crops, group=np.char.add("copy/", crops.group), picture=np.char.add("copy/", crops.picture))
    with pytest.raises(BadRequestError, match="copies of training pictures"):
        checked_split(joined([crops, copies]), 3)


def test_what_is_missing_is_said_before_the_training() -> None:
    with pytest.raises(BadRequestError, match=r"no validation crop.*1 groups: add data"):
        checked_split(discs(one_of_each(10), per_group=1000), 3)
    with pytest.raises(BadRequestError, match="no two classes of 5 crops"):
        checked_split(grained(discs([ONE] * 40)), 3)
    drawn, outliers = discs(one_of_each(20), source="drawn_cells"), grained(discs([frozenset()] * 20))
    with pytest.raises(BadRequestError, match=r"of one label only.*no photographed test crop"):
        checked_split(joined([drawn, outliers]), 3)
