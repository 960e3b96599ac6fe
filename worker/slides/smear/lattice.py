"""The squares of a working plane, and which px of a reduced picture lie in each.

A square is 64 working px wide, which is a whole number of level-0 px. A px of a reduced picture belongs to the
square that holds its centre.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from worker.geometry import LATTICE_PX, Box
from worker.slides.scale import WorkingPlane

Squares: TypeAlias = NDArray[np.float32]
"""(rows, columns) float32: one number per square."""


def shape_of(plane: WorkingPlane) -> tuple[int, int]:
    """Return the rows and columns of squares that cover a plane."""
    return -(-plane.height_work // LATTICE_PX), -(-plane.width_work // LATTICE_PX)


def starts(plane: WorkingPlane, factor: int, length_px: int, squares: int) -> NDArray[np.intp]:
    """Return the first px of each square along an axis of a picture that is `length_px` long.

    `factor` is the picture's level-0 px per px. A last square that holds no centre takes the last px.
    """
    centres = (np.arange(length_px) * 2 + 1) * factor // (2 * plane.factor_64ths)
    return np.minimum(np.searchsorted(centres, np.arange(squares)), length_px - 1)


def shares(mask: NDArray[np.bool_], plane: WorkingPlane, factor: int) -> Squares:
    """Return the share of each square that a mask of the whole slide covers, 0 to 1."""
    rows, columns = shape_of(plane)
    first_rows = starts(plane, factor, mask.shape[0], rows)
    first_columns = starts(plane, factor, mask.shape[1], columns)
    covered = np.add.reduceat(mask, first_rows, axis=0, dtype=np.float32)
    covered = np.add.reduceat(covered, first_columns, axis=1)
    heights = np.diff(first_rows, append=mask.shape[0])
    widths = np.diff(first_columns, append=mask.shape[1])
    return np.asarray(covered / np.maximum(1, np.outer(heights, widths)), dtype=np.float32)


def squares_of(box: Box, plane: WorkingPlane, factor: int) -> tuple[slice, slice]:
    """Return the rows and columns of the squares that a box of a reduced picture meets."""
    rows = slice(box.y * factor // plane.factor_64ths, -(-box.y_end * factor // plane.factor_64ths))
    columns = slice(box.x * factor // plane.factor_64ths, -(-box.x_end * factor // plane.factor_64ths))
    return rows, columns


def of_px(squares: NDArray[np.bool_], plane: WorkingPlane, factor: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return (H, W) bool: for each px of a reduced picture of that shape what its square says."""
    rows, columns = (
        np.minimum((np.arange(length) * 2 + 1) * factor // (2 * plane.factor_64ths), most - 1)
        for length, most in zip(shape, squares.shape, strict=True)
    )
    return np.asarray(squares[np.ix_(rows, columns)])
