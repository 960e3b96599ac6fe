"""How a set is divided under the two protocols: by picture as the paper does, and by group as patients come.

Both divide whole units, a picture or a group, so that each part has its share of every label of every source. What is
left for training gives a seventh to validation: early stopping and calibration never see the part that is judged.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from worker.errors import BadRequestError
from worker.training.classification.data import CropSet

Rows = NDArray[np.int64]
Names = NDArray[np.str_]
_PAPER_PARTS = 10
_PAPER_TEST = 3
_VAL_PARTS = 7
"""A tenth of the whole under the paper's protocol: a seventh of its 70 %."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """The rows of one division of a set; each row is in exactly one part."""

    train: Rows
    val: Rows
    test: Rows


def paper_split(crops: CropSet, seed: int) -> Fold:
    """Return the paper's division: 70 % of the pictures to train and validate, 30 % to test, whatever their group.

    Cells of one picture stay together. Pictures of one patient do not, so that the figures are too good: they are to
    be shown under this protocol's name and beside those of `grouped_folds`.
    Raises BadRequestError for fewer than ten pictures of every label.
    """
    strata = _strata(crops)
    parts = _parts(strata, crops.picture, _PAPER_PARTS, seed)
    return _with_validation(strata, crops.picture, np.sort(np.concatenate(parts[:_PAPER_TEST])), seed)


def grouped_folds(crops: CropSet, k: int, seed: int) -> list[Fold]:
    """Return `k` divisions; each group is in the test part of exactly one, and never in two parts of any.

    Near duplicates must share their group already (`with_near_duplicates_grouped`). A label of fewer than `k` groups
    is absent from some of the test parts: judge all of them together.
    Raises BadRequestError for fewer groups than `k`, or fewer than two left to train and validate.
    """
    strata = _strata(crops)
    return [_with_validation(strata, crops.group, test, seed) for test in _parts(strata, crops.group, k, seed)]


def _with_validation(strata: Names, units: Names, test: Rows, seed: int) -> Fold:
    """Return the fold of this test part; validation takes the fairest seventh of the rest."""
    rest = np.setdiff1d(np.arange(len(strata)), test)
    left = strata[rest]
    number = min(_VAL_PARTS, len(np.unique(units[rest])), np.unique(left, return_counts=True)[1].max())
    candidates = _parts(left, units[rest], number, seed)
    spared = [_spared(left, val) for val in candidates]
    val = candidates[spared.index(max(spared))]
    return Fold(train=np.delete(rest, val), val=rest[val], test=test)


def _spared(strata: Names, val: Rows) -> tuple[int, float]:
    """Return how many labels are left to train on, and the least share that validation has of one, up to a seventh.

    Few groups can leave a label wholly to either side: the part where that happens least is the one to take.
    """
    _, label = np.unique(strata, return_inverse=True)
    share = np.bincount(label[val], minlength=label.max() + 1) / np.bincount(label)
    return int(np.count_nonzero(share < 1)), min(float(share.min()), 1 / _VAL_PARTS)


def _parts(strata: Names, units: Names, number: int, seed: int) -> list[Rows]:
    """Return the rows of `number` parts that divide no unit and are alike in their labels."""
    distinct, most = len(np.unique(units)), np.unique(strata, return_counts=True)[1].max(initial=0)
    if min(distinct, most) < number or number < 2:
        raise BadRequestError(
            f"{distinct} pictures or groups with at most {most} crops of a label cannot be divided into {number} parts"
        )
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A label of fewer crops than parts is no fault: it is in as many parts as it can be.
        warnings.filterwarnings("ignore", message="The least populated class")
        return [test for _, test in splitter.split(units, strata, units)]


def _strata(crops: CropSet) -> Names:
    return np.char.add(np.char.add(crops.source, " "), crops.keys())
