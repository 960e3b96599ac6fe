"""From the called cells of one field to the inputs of the fuzzy systems, and to the probability of their threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import NOT_COUNTED, Cell, CellClass
from worker.counting.intervals import clopper_pearson
from worker.fuzzy.released import ALL, DISEASES, MM

SUSPECT: Mapping[str, CellClass] = {ALL: CellClass.LYMPHOBLAST, MM: CellClass.PLASMA_CELL}
"""The cells that speak for a disease."""
_CONFIDENCE = 0.95
"""Of the interval whose lower end is the share that is there at least: that of the verdict's rules."""
_CONVEX = 0.90
_WIDTH_UM = (5.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Field:
    """The called cells of one field."""

    cells: Sequence[Cell]
    classes: tuple[str, ...]  # of their probabilities
    mpp_um: float  # of level 0

    @property
    def counted(self) -> list[Cell]:
        """The denominator of a share, as in a verdict: cells that the model would not call are in it."""
        return [cell for cell in self.cells if counts(cell)]

    def called(self, cell_class: CellClass) -> list[Cell]:
        """The cells that are called so, without those of which the model was not sure."""
        return [cell for cell in self.cells if not cell.abstained and cell.cell_class == cell_class]

    def probability(self, cell: Cell, cell_class: CellClass) -> float:
        """Return a cell's probability of a class; 0 for one that the model does not know."""
        return cell.probabilities[self.classes.index(cell_class)] if cell_class in self.classes else 0.0


def counts(cell: Cell) -> bool:
    """Tell whether a cell is in the denominator of shares."""
    return CellClass(cell.cell_class) not in NOT_COUNTED


def inputs_of(field: Field) -> dict[str, float | None]:
    """Return every input of the released systems; what no cell tells is None.

    Raises ValueError when no cell is counted.
    """
    counted = field.counted
    if not counted:
        raise ValueError("a field without counted cells has no shares")
    values: dict[str, float | None] = {
        "cells": float(len(counted)),
        "called": sum(not cell.abstained for cell in counted) / len(counted),
        "outlines": sum(_is_cell_like(cell) for cell in counted) / len(counted),
    }
    for disease in DISEASES:
        values |= _of_disease(field, SUSPECT[disease], len(counted))
    return values


def threshold_probability(field: Field, thresholds: Mapping[CellClass, float]) -> float:
    """Return the probability that a class makes up its threshold's share of the counted cells of this very field.

    Exact for cells whose classes are independent draws from their calibrated probabilities: every way in which all
    classes stay below is summed up. It says nothing of cells outside the field. Raises ValueError as `inputs_of`.
    """
    counted = field.counted
    if not counted:
        raise ValueError("a field without counted cells has no shares")
    classes = tuple(thresholds)
    # The axis of a class holds the numbers of its cells that stay below; rounded, for 0.2 times 15 is no whole number.
    shape = tuple(ceil(round(thresholds[one] * len(counted), 9)) for one in classes)
    below = np.zeros(shape)
    below[(0,) * len(classes)] = 1.0
    for cell in counted:
        chances = [field.probability(cell, one) for one in classes]
        below = max(0.0, 1.0 - sum(chances)) * below + sum(
            (chance * _one_more(below, axis) for axis, chance in enumerate(chances)), np.zeros(shape)
        )
    return float(np.clip(1.0 - below.sum(), 0.0, 1.0))


def _one_more(below: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the array one step along an axis; what reaches the threshold falls out."""
    moved = np.roll(below, 1, axis=axis)
    moved[(slice(None),) * axis + (0,)] = 0.0
    return moved


def _of_disease(field: Field, suspect: CellClass, counted: int) -> dict[str, float | None]:
    cells = field.called(suspect)
    at_least, _ = clopper_pearson(len(cells), counted, _CONFIDENCE)
    values: dict[str, float | None] = {
        f"{suspect}_share": len(cells) / counted,
        f"{suspect}_share_at_least": at_least,
        f"{suspect}_confidence": _mean([field.probability(cell, suspect) for cell in cells]),
        f"{suspect}_nc_ratio": _median([cell.features["nc_ratio"] for cell in cells]),
    }
    if suspect is CellClass.LYMPHOBLAST:
        values[f"{suspect}_nucleus_um2"] = _median([cell.features["nucleus_area_um2"] for cell in cells])
    else:
        values[f"{suspect}_nucleus_offset"] = _median([nucleus_offset(cell, field.mpp_um) for cell in cells])
    return values


def nucleus_offset(cell: Cell, mpp_um: float) -> float:
    """Return how far the nucleus's middle lies from the cell's, in radii of a circle of the cell's area."""
    moments = cv2.moments(_polygon(cell))
    if not moments["m00"]:
        return 0.0
    dx = cell.x_l0 - moments["m10"] / moments["m00"]
    dy = cell.y_l0 - moments["m01"] / moments["m00"]
    return float(np.hypot(dx, dy)) * mpp_um / _radius_um(cell)


def _is_cell_like(cell: Cell) -> bool:
    hull = cv2.contourArea(cv2.convexHull(_polygon(cell)))
    convex = bool(hull) and cv2.contourArea(_polygon(cell)) >= _CONVEX * hull
    low, high = _WIDTH_UM
    return convex and low <= 2 * _radius_um(cell) <= high


def _polygon(cell: Cell) -> NDArray[np.float32]:
    return np.array(cell.outline_l0, np.float32).reshape(-1, 1, 2)


def _radius_um(cell: Cell) -> float:
    return sqrt(cell.features["cell_area_um2"] / pi)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
