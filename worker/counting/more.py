"""How many more cells would settle what an interval leaves open, if the shares stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from worker.counting.intervals import exact
from worker.counting.judging import Judged

MOST = 20_000
"""Beyond so many cells the doubt is one of stain and calls, not of counting."""


def more_cells(doubtful: Sequence[Judged], *, called_suffice: bool = False) -> int | None:
    """Return by how many more cells every interval would clear its threshold; None when not within `MOST`.

    None also for none. Where the share itself is at the threshold, or the abstained cells decide, no number helps.
    `called_suffice`: a share is clear too where the called cells lie below, whatever the abstained ones are.
    """
    needed = [_needed(one, called_suffice) for one in doubtful]
    if not needed or None in needed:
        return None
    return max(cells for cells in needed if cells is not None)


def _needed(judged: Judged, called_suffice: bool) -> int | None:
    if judged.mostly_abstained or not _clears(judged, MOST, called_suffice):
        return None
    low, high = judged.cells, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _clears(judged, middle, called_suffice) else (middle, high)
    return high - judged.cells


def _clears(judged: Judged, cells: int, called_suffice: bool) -> bool:
    """Tell whether so many cells of the same shares, as unevenly spread, would leave no doubt."""
    weight = cells / judged.cells / judged.design_effect
    positive, abstained = judged.positive * weight, judged.abstained * weight
    size, threshold = cells / judged.design_effect, judged.criterion.threshold
    low, _ = exact(positive, size, judged.error)
    of_called = (positive, size - abstained) if called_suffice else (positive + abstained, size)
    _, high = exact(*of_called, judged.error)
    return low >= threshold or high < threshold
