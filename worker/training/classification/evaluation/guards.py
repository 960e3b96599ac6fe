"""What is looked at before anything is trained: whether a set can be divided, and whether its divisions leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.errors import BadRequestError
from worker.training.classification.data import CropSet
from worker.training.classification.duplicates import Leak, copied_rows, leaks_among, refuse_leaks
from worker.training.classification.evaluation import jobs, tasks
from worker.training.classification.evaluation.baselines import LEAST_PER_CLASS
from worker.training.classification.evaluation.jobs import PAPER, Evaluation, Job
from worker.training.classification.evaluation.tasks import Task
from worker.training.classification.folds import Fold


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """The tasks that can be asked, and what readers are to know of them and of those that were left out."""

    tasks: tuple[Task, ...]
    sentences: tuple[str, ...]


def guarded(whole: Evaluation, present: Sequence[Task], protocols: Sequence[str], crops: CropSet) -> Guarded:
    """Divide every set as it will be, and leave out those that are too small for it.

    Raises BadRequestError when none remains, or when a grouped division has copies or a group on both sides.
    """
    kept, sentences = [], []
    for task in present:
        try:
            own = tasks.asked(crops, task)
            folds = {protocol: _divided(whole, task, protocol, own) for protocol in protocols}
        except BadRequestError as error:
            sentences.append(f"{task.name} was left out: {error}.")
            continue
        kept.append(task)
        sentences += _leaks(task, own, folds)
    if not kept:
        raise BadRequestError(f"no set can be evaluated: {' '.join(sentences)}")
    return Guarded(tasks=tuple(kept), sentences=tuple(sentences))


def _divided(whole: Evaluation, task: Task, protocol: str, own: CropSet) -> list[Fold]:
    """Return every fold; BadRequestError where one cannot be made or trained on."""
    found = []
    truth = own.allowed.argmax(axis=1)
    for number in range(whole.profile.folds):
        job = Job(task=task, system="", protocol=protocol, fold=number)
        fold = jobs.division(own, job, whole.profile, whole.seed)
        if np.count_nonzero(np.bincount(truth[fold.train]) >= LEAST_PER_CLASS) < 2:
            raise BadRequestError(
                f"under {protocol}, fold {number + 1} has fewer than two classes of {LEAST_PER_CLASS} crops to train on"
            )
        found.append(fold)
    return found


def _leaks(task: Task, own: CropSet, folds: dict[str, list[Fold]]) -> list[str]:
    """Return what leaks under the paper's protocol, in a sentence; BadRequestError for leaks under the other."""
    copied = copied_rows(own)
    sentences = []
    for protocol, divisions in folds.items():
        tested = leaking = sharing = 0
        for fold in divisions:
            seen = np.concatenate([fold.train, fold.val])
            train, test = own.where(seen), own.where(fold.test)
            leaks = leaks_among(own, copied, seen, fold.test)
            if protocol != PAPER:
                _refuse(task, train, test, leaks)
            tested += len(np.unique(test.picture))
            leaking += len({leak.test for leak in leaks})
            sharing += len(np.unique(test.picture[np.isin(test.group, train.group)]))
        if protocol == PAPER:
            sentences.append(
                f"{task.name} under the paper's protocol, which leaks by design: of {tested} pictures tested in "
                f"{len(divisions)} repeats, {leaking} are exact or near copies of a picture trained or validated on, "
                f"and {sharing} are of a group that is."
            )
    return sentences


def _refuse(task: Task, train: CropSet, test: CropSet, leaks: list[Leak]) -> None:
    try:
        refuse_leaks(train, test, leaks)
    except BadRequestError as error:
        raise BadRequestError(f"{task.name} leaks under the grouped protocol: {error}") from error
