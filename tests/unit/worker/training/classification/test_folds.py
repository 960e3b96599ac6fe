from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.crops import discs, one_of_each
from worker.errors import BadRequestError
from worker.training.classification.data import CropSet, joined
from worker.training.classification.folds import Fold, grouped_folds, paper_split

BLANK = discs(one_of_each(1))
BLANK = replace(BLANK, pixels=BLANK.pixels[:, :1, :1])


def _crops(labels: Sequence[int], groups: Sequence[int], pictures: Sequence[int]) -> CropSet:
    """Return rows without pixels of their own, since a division looks at names only."""
    rows = BLANK.where(np.array(labels))
    return replace(rows, group=np.array([f"g{g}" for g in groups]), picture=np.array([f"p{p}" for p in pictures]))


def _each_row_once(fold: Fold, crops: CropSet) -> bool:
    rows = np.concatenate([fold.train, fold.val, fold.test])
    return sorted(rows.tolist()) == list(range(len(crops)))


def _shared(names: NDArray[np.str_], fold: Fold) -> set[str]:
    train, val, test = (set(names[rows].tolist()) for rows in (fold.train, fold.val, fold.test))
    return (train & val) | (train & test) | (val & test)


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=24, max_size=90)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, k=st.integers(2, 5), seed=st.integers(0, 9999))
def test_every_group_is_tested_once_and_never_divided(rows: list[tuple[int, int]], k: int, seed: int) -> None:
    groups = [group for _, group in rows] + list(range(12))
    crops = _crops([label for label, _ in rows] + [0, 1, 2] * 4, groups, range(len(groups)))
    folds = grouped_folds(crops, k, seed)
    assert all(_each_row_once(fold, crops) and not _shared(crops.group, fold) for fold in folds)
    assert all(len(fold.train) and len(fold.val) and len(fold.test) for fold in folds)
    tested = [group for fold in folds for group in set(crops.group[fold.test].tolist())]
    assert sorted(tested) == sorted(set(crops.group.tolist()))


@settings(max_examples=15, deadline=None)
@given(pictures=st.lists(st.integers(0, 19), min_size=30, max_size=90), seed=st.integers(0, 9999))
def test_the_papers_split_divides_no_picture(pictures: list[int], seed: int) -> None:
    names = [*pictures, *range(20), *range(20)]
    crops = _crops([name % 3 for name in names], range(len(names)), names)
    fold = paper_split(crops, seed)
    assert _each_row_once(fold, crops)
    assert not _shared(crops.picture, fold)


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_split_has_its_shares_of_every_label_of_every_source(seed: int) -> None:
    crops = joined([discs(one_of_each(40), source=name, per_group=120) for name in ("one", "other")])
    fold = paper_split(crops, seed)
    for rows, share in ((fold.train, 0.6), (fold.val, 0.1), (fold.test, 0.3)):
        part = crops.where(rows)
        for source in ("one", "other"):
            counts = np.unique(part.keys()[part.source == source], return_counts=True)[1]
            assert counts == pytest.approx(np.full(3, share * 40), abs=2)


def test_grouped_folds_are_alike_in_their_labels() -> None:
    crops = discs(one_of_each(60), per_group=4)
    for fold in grouped_folds(crops, 3, 1):
        counts = np.unique(crops.keys()[fold.test], return_counts=True)[1]
        assert counts == pytest.approx(np.full(3, 20), abs=4)


def test_validation_leaves_each_label_something_to_train_on() -> None:
    groups = [*range(20), *([20] * 10), *([21] * 10), *([22] * 10), *([23] * 10)]
    crops = _crops([0] * 20 + [1] * 20 + [2] * 20, groups, range(60))
    for seed in range(5):
        for fold in grouped_folds(crops, 2, seed):
            assert len(np.unique(crops.keys()[fold.train])) == 3


def test_validation_has_some_of_each_label_where_groups_allow_it() -> None:
    groups = [*range(30), *([30] * 10), *([31] * 10), *([32] * 10), *([33] * 10)]
    crops = _crops([0] * 30 + [1] * 40, groups, range(70))
    for seed in range(5):
        for fold in grouped_folds(crops, 2, seed):
            assert len(np.unique(crops.keys()[fold.val])) == 2


def test_the_seed_decides() -> None:
    crops = discs(one_of_each(30))
    first, again, other = (paper_split(crops, seed).test.tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert grouped_folds(crops, 3, 1)[0].test.tolist() != grouped_folds(crops, 3, 2)[0].test.tolist()


def test_too_few_groups_or_pictures_are_said() -> None:
    crops = _crops([0] * 4, [1, 1, 2, 2], [1, 1, 2, 2])
    found = "2 pictures or groups with at most 4 crops of a label"
    with pytest.raises(BadRequestError, match=f"{found} cannot be divided into 3"):
        grouped_folds(crops, 3, 1)
    with pytest.raises(BadRequestError, match=f"{found} cannot be divided into 10"):
        paper_split(crops, 1)
