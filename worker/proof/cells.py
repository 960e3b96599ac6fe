"""Batches read once more against the batches that are stored: the same cells, at the same places, called alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from db.records import Batch, Cell

PLACE_PX = 0.1
"""How far a cell may lie from where it is stored, along each axis, in level-0 pixels."""
PROBABILITY = 0.01
"""How far a probability may be from the stored one: machines differ in the last digits of a network's sums."""
_FEATURE = 1e-3
"""As above, of a feature's own size."""


def compared(stored: Batch, again: Batch) -> Iterator[str | None]:
    """Yield for each stored cell how it differs, None where it does not; then each cell or defect that is new."""
    where = f"batch {stored.no}"
    partners = _partners(stored.cells, again.cells)
    taken: set[int] = set()
    for cell, partner in zip(stored.cells, partners, strict=True):
        name = f"{where}, cell {cell.cell_no} at {cell.x_l0:.1f}, {cell.y_l0:.1f}"
        if partner is None:
            yield f"{name}: no cell is found there"
        elif partner in taken:
            yield f"{name}: stored twice"
        else:
            taken.add(partner)
            yield _difference(name, cell, again.cells[partner])
    for number in sorted(set(range(len(again.cells))) - taken):
        new = again.cells[number]
        yield f"{where}: a {new.cell_class} at {new.x_l0:.1f}, {new.y_l0:.1f} is found and not stored"
    if stored.defects != again.defects:
        yield f"{where}: {len(stored.defects)} defect tiles are stored, {len(again.defects)} found, or other ones"


def _partners(stored: Sequence[Cell], again: Sequence[Cell]) -> list[int | None]:
    """Return for each stored cell which of the others lies where it is."""
    if not stored or not again:
        return [None] * len(stored)
    near = KDTree(_places(again)).query(_places(stored), p=np.inf, distance_upper_bound=PLACE_PX)
    distances, found = (np.atleast_1d(values) for values in near)
    return [int(at) if np.isfinite(far) else None for far, at in zip(distances, found, strict=True)]


def _places(cells: Sequence[Cell]) -> NDArray[np.float64]:
    return np.array([(cell.x_l0, cell.y_l0) for cell in cells], dtype=np.float64)


def _difference(name: str, stored: Cell, again: Cell) -> str | None:
    if (stored.cell_class, stored.abstained) != (again.cell_class, again.abstained):
        return f"{name}: stored as {_call(stored)}, called {_call(again)}"
    if not np.allclose(stored.probabilities, again.probabilities, rtol=0, atol=PROBABILITY):
        return f"{name}: its probabilities are others"
    others = _other_features(stored.features, again.features)
    return f"{name}: {', '.join(others)} differ" if others else None


def _call(cell: Cell) -> str:
    abstained = ", abstained" if cell.abstained else ""
    return f"{cell.cell_class} ({max(cell.probabilities):.3f}{abstained})"


def _other_features(stored: Mapping[str, float], again: Mapping[str, float]) -> list[str]:
    if stored.keys() != again.keys():
        return sorted(stored.keys() ^ again.keys())
    return [name for name in sorted(stored) if not np.isclose(stored[name], again[name], rtol=_FEATURE, atol=_FEATURE)]
