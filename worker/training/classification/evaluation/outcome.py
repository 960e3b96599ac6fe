"""Out-of-fold predictions of one system on one task: what every figure of an evaluation is computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from worker.errors import BadRequestError

PROTOCOLS = ("paper", "grouped")
"""`paper` divides by picture, as the paper does; `grouped` never divides a patient or another group."""

_TEXTS = ("task", "protocol", "arch", "grouping")
_TUPLES = ("classes", "positive")
_ROWS = ("truth", "probabilities", "group", "unit", "fold", "temperature")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """N predictions on units that the predicting network was not trained on; equal rows belong together.

    A unit is what is called: a cell, or a field whose cells' probabilities were averaged. It occurs at most once in a
    fold; under `paper`, whose folds are repeats of one random split, it may occur in several.
    Raises ValueError for arrays that do not fit together.
    """

    task: str
    protocol: str  # one of PROTOCOLS
    arch: str  # the system: a network's architecture, "svm" or "colour"
    classes: tuple[str, ...]  # K of them
    positive: tuple[str, ...]  # the malignant ones; () where the task has none
    truth: NDArray[np.int64]  # (N,) index into classes
    probabilities: NDArray[np.float32]  # (N, K), rows sum to 1
    group: NDArray[np.str_]  # (N,) the patient, or what stands for one
    unit: NDArray[np.str_]  # (N,)
    fold: NDArray[np.int64]  # (N,) from 0: the fold or repeat in which the row was tested
    temperature: NDArray[np.float32]  # (N,) what the fold's logits were divided by; 1 where none was fitted
    seed: int
    grouping: str = "patient"  # what a group is; "image" where nothing above the picture is known

    def __post_init__(self) -> None:
        count, width = len(self.truth), len(self.classes)
        wrong = {
            "protocol": self.protocol not in PROTOCOLS,
            "classes": width < 2 or len(set(self.classes)) != width,
            "positive": not set(self.positive) < set(self.classes),
            "truth": not count or not _within(self.truth, width),
            "probabilities": self.probabilities.shape != (count, width) or not _sums_to_one(self.probabilities),
            "group": self.group.shape != (count,),
            "unit": self.unit.shape != (count,),
            "fold": self.fold.shape != (count,) or not _within(self.fold, count),
            "temperature": self.temperature.shape != (count,) or not bool((self.temperature > 0).all()),
        }
        if any(wrong.values()):
            names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
            raise ValueError(f"an outcome of {self.arch} on {self.task} does not fit together: {names}")
        if len(set(zip(self.fold.tolist(), self.unit.tolist(), strict=True))) != count:
            raise ValueError(f"an outcome of {self.arch} on {self.task} holds a unit twice in one fold")

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Outcome:
        """Return the chosen rows; at least one."""
        rows = {name: getattr(self, name)[chosen] for name in _ROWS}
        return replace(self, **rows)

    @property
    def called(self) -> NDArray[np.int64]:
        """(N,) index of the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the folds that have rows, in order."""
        return tuple(np.unique(self.fold).tolist())


def store(outcome: Outcome, path: Path) -> None:
    """Write one outcome as .npz; a reader sees the whole file or none."""
    arrays: dict[str, Any] = {name: getattr(outcome, name) for name in _ROWS}
    arrays |= {name: np.array(getattr(outcome, name), dtype=np.str_) for name in (*_TEXTS, *_TUPLES)}
    halfway = path.with_name(f".{path.name}.part")
    with halfway.open("wb") as file:
        np.savez_compressed(file, **arrays, seed=np.array(outcome.seed))
    halfway.replace(path)


def stored(path: Path) -> Outcome:
    """Return the outcome that `store` wrote; BadRequestError for another or a damaged file."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            values: dict[str, Any] = {name: file[name] for name in _ROWS}
            values |= {name: str(file[name]) for name in _TEXTS}
            values |= {name: tuple(map(str, file[name])) for name in _TUPLES}
            return Outcome(**values, seed=int(file["seed"]))
    except (BadZipFile, EOFError, KeyError, TypeError, ValueError) as error:
        raise BadRequestError(f"{path.name} is not a whole file of predictions: {error}; delete it") from error


def _within(values: NDArray[np.int64], limit: int) -> bool:
    return values.ndim == 1 and values.dtype.kind in "iu" and bool(((values >= 0) & (values < limit)).all())


def _sums_to_one(probabilities: NDArray[np.float32]) -> bool:
    return bool((probabilities >= 0).all()) and bool(np.allclose(probabilities.sum(axis=1), 1, atol=1e-3))
