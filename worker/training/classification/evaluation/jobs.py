"""The pieces of an evaluation: each reads the kept crops, writes one file, and is done when that file is there.

A trunk is pretrained once per task on the other sets; features are measured once per task; a fold is one system trained
and asked on one division of one set. A job that was stopped goes on from its last epoch, or starts again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import Tensor

from worker.nets.architectures import NETWORKS
from worker.nets.device import chosen_device
from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from worker.training.classification import loop
from worker.training.classification.cut import finder
from worker.training.classification.data import CropSet, stored
from worker.training.classification.evaluate import Probabilities, colours
from worker.training.classification.evaluation import baselines, outcome, pretraining, profiles, systems, tasks
from worker.training.classification.evaluation.profiles import Profile
from worker.training.classification.evaluation.tasks import Task
from worker.training.classification.folds import Fold, grouped_folds, paper_split
from worker.training.classification.recipe import Recipe

PAPER, GROUPED = outcome.PROTOCOLS
_FEATURES = "features"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What all jobs share."""

    out: Path
    profile: Profile
    seed: int
    imagenet: Path | None = None  # the folder of ImageNet weights to start from instead of pretrained trunks
    device: str = "cpu"

    @property
    def crops(self) -> Path:
        """The file that keeps the crops."""
        return self.out / "work" / "crops.npz"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work; without a protocol it prepares folds."""

    task: Task
    system: str
    protocol: str = ""
    fold: int = -1

    def __str__(self) -> str:
        if self.system == _FEATURES:
            return f"{self.task.name}: features of the cells"
        if not self.protocol:
            return f"{self.task.name}: trunk {self.system}"
        return f"{self.task.name}, {self.protocol} {self.fold + 1}: {self.system}"


def preparations(whole: Evaluation, asked: Sequence[Task], archs: Sequence[str]) -> Iterator[Job]:
    """Yield the jobs that folds wait for."""
    networks = [arch for arch in archs if arch in NETWORKS]
    if whole.imagenet is not None:
        networks = [arch for arch in networks if not pretraining.has_imagenet(arch)]
    trunks = dict.fromkeys(trunk for arch in networks for trunk in pretraining.trunks_of(arch))
    for task in asked:
        yield from (Job(task=task, system=trunk) for trunk in trunks)
        if systems.SVM in archs:
            yield Job(task=task, system=_FEATURES)


def folds(whole: Evaluation, asked: Sequence[Task], protocols: Sequence[str], archs: Sequence[str]) -> Iterator[Job]:
    """Yield the jobs whose predictions are judged, the harder protocol first."""
    for protocol in sorted(protocols):
        for arch in archs:
            for task in asked:
                for fold in range(whole.profile.folds):
                    yield Job(task=task, system=arch, protocol=protocol, fold=fold)


def file_of(whole: Evaluation, job: Job) -> Path:
    """Return the file that a job writes."""
    if job.system == _FEATURES:
        return whole.out / "work" / job.task.name / "features.safetensors"
    if not job.protocol:
        return pretraining.trunk_file(whole.out / "work" / job.task.name, job.system)
    return whole.out / "predictions" / f"{job.task.name}-{job.protocol}-{job.system}-{job.fold}.npz"


def perform(whole: Evaluation, job: Job) -> None:
    """Do one job unless its file is there."""
    file = file_of(whole, job)
    if file.is_file():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    everything = _kept(whole.crops)
    if job.system == _FEATURES:
        own = tasks.asked(everything, job.task)
        values = baselines.morphology(own, finder(whole.device))
        part = file.with_suffix(".part")
        save_file({"values": values}, part)
        part.replace(file)
    elif not job.protocol:
        recipe = profiles.pretraining(whole.profile, job.system, _norm(whole, job.system), whole.seed)
        others = tasks.without(everything, job.task)
        pretraining.pretrain(others, recipe, file, device=_device(whole), say=_quiet)
        shutil.rmtree(file.with_suffix(".training"))
    else:
        outcome.store(_asked(whole, job, tasks.asked(everything, job.task)), file)
        shutil.rmtree(_state(whole, job), ignore_errors=True)


def division(own: CropSet, job: Job, profile: Profile, seed: int) -> Fold:
    """Return the fold's rows; the same for every system."""
    if job.protocol == PAPER:
        return paper_split(own, seed + job.fold)
    return grouped_folds(own, profile.folds, seed)[job.fold]


def _asked(whole: Evaluation, job: Job, own: CropSet) -> outcome.Outcome:
    """Train one system on one fold and return what it says of the test part."""
    fold = division(own, job, whole.profile, whole.seed)
    answers = (_network if job.system in NETWORKS else _baseline)(whole, job, own, fold)
    val, test = own.where(fold.val), own.where(fold.test)
    said = systems.called((val, answers[0]), (test, answers[1]), job.task)
    rows = fold.test[said.first]
    return outcome.Outcome(
        task=job.task.name,
        protocol=job.protocol,
        arch=job.system,
        classes=own.classes,
        positive=(job.task.positive,) if job.task.positive else (),
        truth=own.allowed[rows].argmax(axis=1),
        probabilities=said.probabilities,
        group=own.group[rows],
        unit=tasks.unit_names(own, job.task)[rows],
        fold=np.full(len(rows), job.fold, dtype=np.int64),
        temperature=np.full(len(rows), said.temperature, dtype=np.float32),
        seed=whole.seed,
        grouping=job.task.grouping,
    )


def _network(whole: Evaluation, job: Job, own: CropSet, fold: Fold) -> list[Probabilities]:
    recipe = _tuning(whole, job, len(fold.train))
    net = loop.fit(
        own.where(fold.train),
        own.where(fold.val),
        recipe,
        loop.Place(folder=_state(whole, job), device=_device(whole), initial=_initial(whole, job)),
        say=_quiet,
    ).to(_device(whole))
    return [systems.seen_turned(net, own.where(rows), recipe, whole.profile.turns) for rows in (fold.val, fold.test)]


def _baseline(whole: Evaluation, job: Job, own: CropSet, fold: Fold) -> list[Probabilities]:
    truth, classes = own.allowed.argmax(axis=1), len(own.classes)
    if job.system == systems.COLOUR:
        values = colours(own)
        model = baselines.regression((values[fold.train], truth[fold.train]), classes)
    else:
        values = load_file(file_of(whole, Job(task=job.task, system=_FEATURES)))["values"]
        train, val = ((values[rows], truth[rows]) for rows in (fold.train, fold.val))
        model = baselines.support_vectors(train, val, classes)
    return [model.probabilities(values[rows]) for rows in (fold.val, fold.test)]


def _tuning(whole: Evaluation, job: Job, count: int) -> Recipe:
    norm = _norm(whole, job.system)
    return profiles.tuning(whole.profile, job.system, norm, crops=count, seed=whole.seed + job.fold)


def _initial(whole: Evaluation, job: Job) -> dict[str, Tensor]:
    if whole.imagenet is not None and pretraining.has_imagenet(job.system):
        return pretraining.from_imagenet(job.system, whole.imagenet)
    return pretraining.initial(job.system, whole.out / "work" / job.task.name)


def _norm(whole: Evaluation, arch: str) -> profiles.Norm:
    if whole.imagenet is not None and pretraining.has_imagenet(arch):
        return profiles.Norm(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return profiles.Norm()


def _state(whole: Evaluation, job: Job) -> Path:
    return whole.out / "work" / job.task.name / f"{job.protocol}-{job.system}-{job.fold}.training"


def _device(whole: Evaluation) -> str:
    return str(chosen_device(whole.device))


def _quiet(_: str) -> None:
    """Say nothing of single epochs: two jobs at once would talk at the same time."""


@lru_cache(maxsize=1)
def _kept(path: Path) -> CropSet:
    return stored(path)
