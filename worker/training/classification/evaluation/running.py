"""Runs an evaluation: cuts the crops, does what is not yet done, several jobs at once, and writes the report."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from worker.errors import BadRequestError
from worker.training.classification.cut import Wanted, cut
from worker.training.classification.data import CropSet
from worker.training.classification.evaluation import jobs, outcome, profiles
from worker.training.classification.evaluation.guards import guarded
from worker.training.classification.evaluation.jobs import Evaluation, Job
from worker.training.classification.evaluation.notes import notes
from worker.training.classification.evaluation.page import write_report
from worker.training.classification.evaluation.tasks import Task, is_present
from worker.training.classification.loop import Say

_SETTINGS = "settings.json"
_COST = {"vgg16": 5.0, "vgg19": 5.5, "resnet50": 5.0, "hybrid-merged": 5.5, "dcnn": 4.0, "hybrid": 9.5}
"""Milliseconds of one core for a draw, about; only their proportions matter."""
_OTHER_COST = 20_000.0
_ROWS = ("truth", "probabilities", "group", "unit", "fold", "temperature")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be evaluated."""

    data: tuple[Path, ...]
    whole: Evaluation
    tasks: tuple[Task, ...]
    protocols: tuple[str, ...]
    archs: tuple[str, ...]
    at_once: int  # jobs


def evaluate(request: Request, say: Say) -> Path:
    """Do all jobs that are not done, and return the page of the report.

    Sets that are too small to be divided are left out, and the report says so. Raises BadRequestError when the folder
    holds an evaluation with other settings, the data none of the sets or none large enough, or a grouped fold leaks.
    """
    whole, started = request.whole, time.monotonic()
    _check_settings(request)
    crops = cut(Wanted(data=request.data, seed=whole.seed), whole.crops, device=whole.device, say=say)
    present = tuple(task for task in request.tasks if is_present(crops, task))
    if not present:
        raise BadRequestError(f"the data holds no set for {', '.join(task.name for task in request.tasks)}")
    checked = guarded(whole, present, request.protocols, crops)
    phases = [
        list(jobs.preparations(whole, checked.tasks, request.archs)),
        list(jobs.folds(whole, checked.tasks, request.protocols, request.archs)),
    ]
    _Progress(whole=whole, say=say).run(phases, crops, request.at_once)
    results = [joined([outcome.stored(jobs.file_of(whole, job)) for job in group]) for group in _by_outcome(phases[1])]
    minutes = (time.monotonic() - started) / 60
    return write_report(results, whole.out, notes=notes(whole, checked, crops, minutes))


def joined(parts: Sequence[outcome.Outcome]) -> outcome.Outcome:
    """Return the outcome of all folds from those of each; all of the same task, protocol and system."""
    rows: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROWS}
    return replace(parts[0], **rows)


@dataclass(kw_only=True)
class _Progress:
    """Does jobs in processes of their own and says how long the rest will take."""

    whole: Evaluation
    say: Say
    done: float = 0.0
    left: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def run(self, phases: Sequence[Sequence[Job]], crops: CropSet, at_once: int) -> None:
        waiting = [[job for job in phase if not jobs.file_of(self.whole, job).is_file()] for phase in phases]
        costs = {job: _cost(self.whole, job, crops) for phase in waiting for job in phase}
        self.left = sum(costs.values())
        for phase in waiting:
            for job in self._performed(phase, at_once):
                self._tell(job, costs[job])

    def _performed(self, phase: Sequence[Job], at_once: int) -> Iterator[Job]:
        """Yield each job when it is done; a single one at a time is done in this process."""
        if at_once == 1:
            for job in phase:
                jobs.perform(self.whole, job)
                yield job
            return
        threads = max(1, torch.get_num_threads() // at_once)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(at_once, mp_context=context, initializer=_settle, initargs=(threads,))
        try:
            running = {pool.submit(jobs.perform, self.whole, job): job for job in phase}
            for future in as_completed(running):
                future.result()
                yield running[future]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _tell(self, job: Job, cost: float) -> None:
        self.done, self.left = self.done + cost, self.left - cost
        minutes = (time.monotonic() - self.began) / 60
        self.say(f"{job}: done after {minutes:.1f} min, about {minutes * self.left / self.done:.0f} min left")


def _settle(threads: int) -> None:
    """Keep one process to its share of the cores."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _cost(whole: Evaluation, job: Job, crops: CropSet) -> float:
    """Return what a job costs beside others."""
    if job.system not in _COST:
        return _OTHER_COST if not job.protocol else _OTHER_COST / 10
    if not job.protocol:
        return _COST[job.system] * whole.profile.trunk_draws
    count = int(np.isin(crops.source, job.task.asked).sum())
    return _COST[job.system] * profiles.tuning_draws(whole.profile, count)


def _by_outcome(folds: Iterable[Job]) -> list[list[Job]]:
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in folds:
        groups.setdefault((job.task.name, job.protocol, job.system), []).append(job)
    return list(groups.values())


def _check_settings(request: Request) -> None:
    """Raise BadRequestError when what the folder holds was made otherwise; else write down how it is made."""
    whole, file = request.whole, request.whole.out / "work" / _SETTINGS
    settings = {
        "data": sorted(str(folder.resolve()) for folder in request.data),
        "profile": asdict(whole.profile),
        "seed": whole.seed,
        "imagenet": str(whole.imagenet.resolve()) if whole.imagenet else None,
    }
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != settings:
        raise BadRequestError(f"{whole.out} holds an evaluation with other settings: choose another folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=1), encoding="utf-8")
