"""Called cells and fields of them, without a picture or a network."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin
from typing import Any

from db.records import Cell, CellClass
from worker.fuzzy.inputs import Field

CLASSES = tuple(CellClass)
MPP_UM = 0.25
_SHAPES: dict[CellClass, dict[str, float]] = {
    CellClass.LYMPHOBLAST: {"nc_ratio": 0.8, "nucleus_area_um2": 60.0},
    CellClass.PLASMA_CELL: {"nc_ratio": 0.4, "nucleus_area_um2": 58.0, "offset": 0.35},
}


def called_cell(cell_class: CellClass, *, sure: float = 0.97, abstained: bool = False, **shape: Any) -> Cell:
    """Return a round cell at (100, 80) level-0 px that looks like its class.

    `shape` may give radius_um, nc_ratio, nucleus_area_um2, `offset` (of the nucleus, in radii), `outline_l0`.
    """
    chosen: dict[str, Any] = {"radius_um": 6.0, "nc_ratio": 0.6, "nucleus_area_um2": 40.0, "offset": 0.0}
    chosen |= _SHAPES.get(cell_class, {}) | shape
    radius_um = chosen["radius_um"]
    turns = (2 * pi * corner / 32 for corner in range(32))
    ring = tuple(
        (round(100 + radius_um / MPP_UM * cos(turn)), round(80 + radius_um / MPP_UM * sin(turn))) for turn in turns
    )
    rest = (1.0 - sure) / (len(CLASSES) - 1)
    names = ("nucleus_area_um2", "nc_ratio")
    return Cell(
        cell_no=0,
        x_l0=100 + chosen["offset"] * radius_um / MPP_UM,
        y_l0=80.0,
        cell_class=cell_class,
        abstained=abstained,
        probabilities=tuple(sure if one is cell_class else rest for one in CLASSES),
        features={name: chosen[name] for name in names}
        | {"cell_area_um2": pi * radius_um**2, "circularity": 1.0, "solidity": 1.0},
        outline_l0=chosen.get("outline_l0", ring),
    )


def field_of(*cells: Cell | Sequence[Cell]) -> Field:
    """Return a field of these cells and lists of cells."""
    flat = [one for given in cells for one in ([given] if isinstance(given, Cell) else given)]
    return Field(cells=flat, classes=CLASSES, mpp_um=MPP_UM)
