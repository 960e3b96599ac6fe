from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.crops import discs
from tests.support.evaluations import BLAST, LYMPHOCYTE, begun, small_sets
from worker.errors import BadRequestError
from worker.training.classification.data import CropSet, joined
from worker.training.classification.evaluation import tasks
from worker.training.classification.evaluation.guards import guarded

PBC, CNMC = (tasks.chosen((name,))[0] for name in ("pbc", "cnmc"))
SMALL = discs([BLAST, LYMPHOCYTE] * 3, source="cnmc2019_sample", seed=5)


def _with_a_copy() -> CropSet:
    """Return the small sets with each cell of one there twice, the copies in other groups and pictures."""
    own = small_sets().where(small_sets().source == "pbc_normal_wbc")
    again = replace(own, group=np.char.add(own.group, " again"), picture=np.char.add(own.picture, " again"))
    return joined([own, again])


def test_a_set_that_cannot_be_divided_is_left_out_with_its_reason(tmp_path: Path) -> None:
    found = guarded(begun(tmp_path), (PBC, CNMC), ("paper",), joined([small_sets(), SMALL]))
    assert found.tasks == (PBC,)
    assert found.sentences[-1].startswith("cnmc was left out: 6 pictures or groups")


def test_when_nothing_can_be_divided_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no set can be evaluated: cnmc was left out: 6 pictures"):
        guarded(begun(tmp_path), (CNMC,), ("paper",), SMALL)


def test_a_set_of_one_class_is_left_out(tmp_path: Path) -> None:
    one = discs([BLAST] * 30, source="cnmc2019_sample")
    with pytest.raises(BadRequestError, match="fewer than two classes of 3 crops"):
        guarded(begun(tmp_path), (CNMC,), ("paper",), one)


def test_copies_on_both_sides_of_a_grouped_fold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"pbc leaks under the grouped protocol: \d+ pictures .* are copies"):
        guarded(begun(tmp_path), (PBC,), ("grouped",), _with_a_copy())


def test_leaks_of_the_papers_protocol_are_counted(tmp_path: Path) -> None:
    pair = replace(_with_a_copy(), group=np.repeat("one", 72))
    [said] = guarded(begun(tmp_path), (PBC,), ("paper",), pair).sentences
    assert "of 46 pictures tested in 2 repeats, 30 are exact or near copies" in said
    assert "and 46 are of a group that is" in said
