"""A cell as QuPath reads it: a GeoJSON feature in px of level 0, with class, colour and measurements.

Keys and forms are those of QuPath 0.4 to 0.7 (its QuPathTypeAdapters and GsonTools).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from db.cases import CaseCell
from db.records import CellClass
from worker.cell_ids import CLASS_MARK, MARK, NOT_CALLED, cell_id, cell_mark
from worker.cells.polygons import mended, way_round
from worker.outputs.marks import ABSTAINED, MARKS

MEASUREMENTS: Mapping[str, str] = MappingProxyType(
    {
        "nucleus_area_um2": "Nucleus: Area µm^2",
        "cell_area_um2": "Cell: Area µm^2",
        "nc_ratio": "Nucleus/Cell area ratio",
        "perimeter_um": "Nucleus: Perimeter µm",
        "circularity": "Nucleus: Circularity",
        "eccentricity": "Nucleus: Eccentricity",
        "solidity": "Nucleus: Solidity",
        "lobes": "Nucleus: Lobes",
    }
)
"""Features that are written, under the names that QuPath gives such measurements; all others stand in the CSV."""

Corners: TypeAlias = list[tuple[int, int]]
Measured: TypeAlias = Sequence[tuple[int, str]]
"""Places among a run's features, and what the measurement there is called."""


def measured(feature_names: Sequence[str]) -> Measured:
    """Return which of a run's features are written."""
    return [(place, MEASUREMENTS[name]) for place, name in enumerate(feature_names) if name in MEASUREMENTS]


def feature_of(cell: CaseCell, wanted: Measured) -> dict[str, Any]:
    """Return a cell as a feature: a `cell` with its outline, or a `detection` at its place where none is known.

    Its class is the one that it counts as: a person's where there is one, else the model's.
    """
    ring = _ring(cell.outline_l0)
    cell_class = CellClass(cell.corrected_class or cell.cell_class)
    abstained = cell.abstained and cell.corrected_class is None
    return {
        "type": "Feature",
        "id": str(cell_id(cell.run_id, cell.batch_no, cell.cell_no)),
        "geometry": _point(cell) if ring is None else {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "detection" if ring is None else "cell",
            "classification": classification(cell_class, abstained=abstained),
            "measurements": {
                "Probability": round(cell.probability, 4),
                **{label: _short(cell.features[place]) for place, label in wanted},
            },
            "metadata": {
                MARK: cell_mark(cell.run_id, cell.batch_no, cell.cell_no),
                CLASS_MARK: NOT_CALLED if abstained else cell_class.value,
            },
        },
    }


def classification(cell_class: CellClass, *, abstained: bool) -> dict[str, Any]:
    """Return a class as QuPath keeps it; that of an abstained cell is one of its own below the most probable one."""
    if abstained:
        return {"names": [cell_class.value, NOT_CALLED], "color": list(ABSTAINED)}
    return {"name": cell_class.value, "color": list(MARKS[cell_class][1])}


def _ring(outline_l0: Sequence[int]) -> list[tuple[int, int]] | None:
    """Return a closed ring, its sides crossing nowhere, in the turn that RFC 7946 asks for (by y as it grows)."""
    corners: Corners = list(zip(outline_l0[::2], outline_l0[1::2], strict=True))
    way = way_round(corners)
    if way == 0:
        corners = _mended(corners)
        way = 1 if _signed_area(corners) > 0 else -1
    turned = corners[::way]
    return [*turned, turned[0]] if turned else None


def _mended(corners: Corners) -> Corners:
    """Return the corners of a simple polygon, none where nothing is enclosed."""
    found = mended(np.array(corners, np.int32).reshape(-1, 2))
    return [] if found is None else [(int(x), int(y)) for x, y in found]


def _signed_area(corners: Corners) -> int:
    after = [*corners[1:], *corners[:1]]
    return sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(corners, after, strict=True))


def _point(cell: CaseCell) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [round(cell.x_l0, 2), round(cell.y_l0, 2)]}


def _short(value: float) -> float:
    """Return a measurement to four digits, which is more than any of them is worth."""
    return float(f"{value:.4g}")
