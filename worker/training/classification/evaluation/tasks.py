"""The questions put to real data sets, and what may be learnt before a set is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadRequestError
from worker.training.classification.data import CropSet

CELL, FIELD = "cell", "field"
"""What is called: each cell, or a whole picture by the mean of its cells' probabilities."""

_BLASTS = ("lymphoblast", "blast_other")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question to one data set. `marker` is the class that is looked for; a lymphoblast stands for any blast.

    A cell is positive whose label allows nothing else, and negative whose label rules it out; others are left out. A
    field is labelled as a whole, weakly: each of its crops whose label allows the marker is positive.
    """

    name: str  # also how the sources begin that show this set's patients, however often they were published
    asked: tuple[str, ...]  # the sources that are judged
    positive: str = ""  # what a crop with the marker is called; empty: crops are asked for their type
    negative: str = ""
    marker: str = ""
    unit: str = CELL
    grouping: str  # what a group is


TASKS: tuple[Task, ...] = (
    Task(
        name="segpc",
        asked=("segpc_mm_512", "segpc"),  # segpc_mm_native shows the same fields again
        positive="plasma cell",
        negative="other cell",
        marker="plasma_cell",
        grouping="block of file numbers",
    ),
    Task(
        name="taleqani",
        asked=("taleqani_all",),
        positive="ALL",
        negative="benign",
        marker="lymphoblast",
        unit=FIELD,
        grouping="run of pictures",
    ),
    Task(
        name="cnmc",
        asked=("cnmc2019_sample", "cnmc", "cnmc2019"),
        positive="ALL blast",
        negative="normal cell",
        marker="lymphoblast",
        grouping="patient",
    ),
    Task(
        name="matek",
        asked=("matek_bone_marrow", "matek"),
        positive="blast",
        negative="other cell",
        marker="lymphoblast",
        grouping="block of file numbers",
    ),
    Task(name="pbc", asked=("pbc_normal_wbc", "pbc"), grouping="image"),
    Task(
        name="snam",
        asked=("snam",),
        positive="ALL",
        negative="MM",
        marker="lymphoblast",
        unit=FIELD,
        grouping="field",
    ),
    Task(
        name="all_idb",
        asked=("all_idb",),
        positive="blast",
        negative="other cell",
        marker="lymphoblast",
        grouping="picture",
    ),
)


def chosen(names: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks of these names, all for none; raises BadRequestError for a name that is none of them."""
    known = {task.name: task for task in TASKS}
    if unknown := sorted(set(names) - known.keys()):
        raise BadRequestError(f"no task is called {', '.join(unknown)}: use {', '.join(known)}")
    return tuple(task for task in TASKS if not names or task.name in names)


def asked(crops: CropSet, task: Task) -> CropSet:
    """Return the crops that the task is about, labelled by its classes, the negative one first.

    Outliers are left out, and cells whose label does not tell their class. Raises BadRequestError for no crops.
    """
    own = crops.where(np.isin(crops.source, task.asked) & crops.allowed.any(axis=1))
    if task.unit == CELL:
        own = own.where(_is_plain(own, task))
    if not len(own):
        raise BadRequestError(f"the data holds nothing for the task {task.name}: it asks {' or '.join(task.asked)}")
    if task.marker:
        is_positive = own.allowed[:, looked_for(own.classes, task)].any(axis=1)
        classes: tuple[str, ...] = (task.negative, task.positive)
        truth = is_positive.astype(np.int64)
    else:
        present = np.nonzero(own.allowed.any(axis=0))[0]
        classes = tuple(own.classes[n] for n in present)
        truth = np.searchsorted(present, own.allowed.argmax(axis=1))
    return replace(own, classes=classes, allowed=np.eye(len(classes), dtype=np.bool_)[truth])


def _is_plain(crops: CropSet, task: Task) -> NDArray[np.bool_]:
    """Return (N,) whose label tells the class of a cell."""
    if not task.marker:
        return np.asarray(crops.allowed.sum(axis=1) == 1)
    marked = looked_for(crops.classes, task)
    return np.asarray(~(crops.allowed[:, marked].any(axis=1) & crops.allowed[:, ~marked].any(axis=1)))


def looked_for(classes: Sequence[str], task: Task) -> NDArray[np.bool_]:
    """Return (K,) which classes make a crop positive."""
    return np.isin(classes, _BLASTS if task.marker in _BLASTS else (task.marker,))


def is_present(crops: CropSet, task: Task) -> bool:
    """Tell whether there is anything to ask."""
    return bool(np.isin(crops.source, task.asked).any())


def without(crops: CropSet, task: Task) -> CropSet:
    """Return what a trunk may see before it is judged on the task: crops of other sets, and no copy of this one's.

    Copies share their group (worker/training/classification/duplicates.py).
    """
    own = np.char.startswith(crops.source, task.name) | np.isin(crops.source, task.asked)
    return crops.where(~own & ~np.isin(crops.group, crops.group[own]))


def units(crops: CropSet, task: Task) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each of U units, and (N,) the unit of each row."""
    if task.unit == CELL:
        rows = np.arange(len(crops))
        return rows, rows
    _, first, unit_of = np.unique(crops.picture, return_index=True, return_inverse=True)
    return np.asarray(first, dtype=np.int64), np.asarray(unit_of, dtype=np.int64)


def unit_names(crops: CropSet, task: Task) -> NDArray[np.str_]:
    """Return (N,) what each row's unit is called, the same in every split of the same set."""
    if task.unit == FIELD:
        return crops.picture
    seen: dict[str, int] = {}
    names = []
    for picture in crops.picture.tolist():
        seen[picture] = seen.get(picture, 0) + 1
        names.append(f"{picture}#{seen[picture]}")
    return np.array(names, dtype=np.str_)
