"""What the report says of how its predictions were made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.training.classification.data import MPP_UM, CropSet, is_drawn
from worker.training.classification.evaluation.guards import Guarded
from worker.training.classification.evaluation.jobs import Evaluation
from worker.training.classification.evaluation.tasks import FIELD, Task, asked, units, without

_SMALL = "The figures speak of these sizes and budgets, not of what full-size networks with more data would reach."
_FULL = "Networks have the published widths."
_IMAGENET = (
    "Trunks start from torchvision's ImageNet weights; those of DCNN, which has none, from cells of the other sets."
)


def notes(whole: Evaluation, checked: Guarded, crops: CropSet, minutes: float) -> list[str]:
    """Return the sentences, most telling first; `minutes` is how long the last run took."""
    return [
        _budget(whole),
        _calibration(whole),
        _SMALL if whole.profile.width < 1 else _FULL,
        *_trunks(whole, checked.tasks, crops),
        _division(whole),
        *(_asked(task, asked(crops, task)) for task in checked.tasks),
        *checked.sentences,
        f"Seed {whole.seed}. The last run took {minutes:.0f} minutes; what earlier runs had done was kept.",
    ]


def _budget(whole: Evaluation) -> str:
    profile = whole.profile
    return (
        f"Profile {profile.name}: networks of {profile.width:g} of the published channels, crops of "
        f"{profile.crop_px * MPP_UM:g} µm shown at {profile.input_px} px, in the first half of the epochs at "
        f"{profile.early_px} px; products in {profile.precision}. A fold is trained on {profile.draws_per_crop} "
        f"augmented draws per training crop, at least {profile.least_draws} and at most {profile.most_draws}, in "
        f"{profile.epochs} epochs. Every network gets the same."
    )


def _calibration(whole: Evaluation) -> str:
    return (
        f"A network's probabilities are the mean over {whole.profile.turns} turned and mirrored copies of a crop. For "
        "every system a temperature is fitted on the validation part of each fold where that has 30 units or more."
    )


def _trunks(whole: Evaluation, present: Sequence[Task], crops: CropSet) -> list[str]:
    if whole.imagenet is not None:
        return [_IMAGENET]
    first = (
        f"No set trains a trunk that is tested on it: trunks are pretrained in {whole.profile.trunk_draws} draws on "
        "the other sets and on drawn cells, after every crop that copies one of the tested set was taken out. Hybrids "
        "start from the pretrained VGG16 and VGG19 trunks."
    )
    sentences = [first]
    for task in present:
        others = without(crops, task)
        names, counts = np.unique(others.source[~is_drawn(others)], return_counts=True)
        listed = ", ".join(f"{name} ({count})" for name, count in zip(names, counts, strict=True))
        seen = f"the crops of {listed}" if listed else "drawn cells only, since the data holds no other set"
        sentences.append(f"Trunks for {task.name} saw {seen}.")
    return sentences


def _division(whole: Evaluation) -> str:
    number = whole.profile.folds
    return (
        f"Paper's protocol: 70 % of the pictures to train and validate, 30 % to test, {number} repeats. Grouped: "
        f"{number} folds that divide no group; exact and near copies of a picture are in one group. Validation is a "
        "seventh of what is not tested: it ends a training early and fits the temperature."
    )


def _asked(task: Task, own: CropSet) -> str:
    first, _ = units(own, task)
    what = f"{len(first)} fields by the mean of {len(own)} cells" if task.unit == FIELD else f"{len(own)} cells"
    return f"{task.name}: {what} that the segmenter found, in {len(np.unique(own.group))} groups ({task.grouping})."
