"""Divides the crops of a training, and refuses at once what could not be calibrated or judged hours later."""

from __future__ import annotations

import numpy as np

from worker.errors import BadRequestError
from worker.training.classification.certainty import answerable
from worker.training.classification.data import CropSet, is_drawn, joined, split
from worker.training.classification.duplicates import refuse_leaks
from worker.training.classification.evaluate import judged
from worker.training.classification.outlying import LEAST, can_be_fitted


def checked_split(crops: CropSet, seed: int) -> dict[str, CropSet]:
    """Return the parts as `split` makes them.

    Raises BadRequestError when the test part shares a group or a picture with the others, and when a part holds too
    little to calibrate or judge a network with.
    """
    parts = split(crops, seed)
    _check_enough(parts["train"], parts["val"], parts["test"])
    refuse_leaks(joined([parts["train"], parts["val"]]), parts["test"])
    return parts


def _check_enough(train: CropSet, val: CropSet, test: CropSet) -> None:
    photographed = train.where(judged(train) & ~is_drawn(train))
    wanting = {
        f"no two classes of {LEAST} crops each to train on": not can_be_fitted(train),
        "photographed crops of one label only to train on": len(np.unique(photographed.keys())) < 2,
        "no validation crop whose label can be judged": not judged(val).any(),
        "no photographed test crop whose label can be judged": not (answerable(test) & ~is_drawn(test)).any(),
    }
    if missing := [what for what, is_missing in wanting.items() if is_missing]:
        groups = len(set(train.group) | set(val.group) | set(test.group))
        raise BadRequestError(
            f"the data does not do for a training: {'; '.join(missing)}. It was divided by its {groups} groups: add "
            "data, or state smaller groups (patient_id or group_id of a manifest, a folder below the class)"
        )
