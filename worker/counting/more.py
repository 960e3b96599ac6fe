"""How many more cells would settle what an interval leaves open, if the shares stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from worker.counting.intervals import exact
from worker.counting.judging import Judged

MOST = 20_000
"""Beyond so many cells the doubt is one of stain and calls, not of counting."""


def more_cells(straddling: Sequence[Judged]) -> int | None:
    """Return by how many more cells every interval would clear its threshold; None when not within `MOST`.

    None also for none. Where the share itself is at the threshold, or the abstained cells decide, no number helps.
    """
    needed = [_needed(one) for one in straddling]
    if not needed or None in needed:
        return None
    return max(cells for cells in needed if cells is not None)


def _needed(judged: Judged) -> int | None:
    if not _clears(judged, MOST):
        return None
    low, high = judged.cells, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _clears(judged, middle) else (middle, high)
    return high - judged.cells


def _clears(judged: Judged, cells: int) -> bool:
    """Tell whether so many cells of the same shares, as unevenly spread, would leave no doubt."""
    weight = cells / judged.cells / judged.design_effect
    size = cells / judged.design_effect
    low, _ = exact(judged.positive * weight, size, judged.error)
    _, high = exact((judged.positive + judged.abstained) * weight, size, judged.error)
    return low >= judged.criterion.threshold or high < judged.criterion.threshold
