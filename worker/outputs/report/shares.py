"""Shares with their intervals, as the evidence of a verdict holds them or as they follow from its counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.counting.intervals import clopper_pearson
from worker.outputs.report import words
from worker.outputs.report.content import Bar, Interval

_AXES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_ROOM = 1.1
"""An axis is so much longer than its longest interval, as far as it does not pass 100 %."""


def confidence(evidence: Mapping[str, Any]) -> float:
    """Return the confidence that the rule asks of intervals."""
    return float(evidence.get("rule", {}).get("confidence", 0.95))


def interval(stored: Mapping[str, Any]) -> Interval:
    """Return a share that evidence holds as value, ci_low and ci_high."""
    return Interval(value=stored["value"], low=stored["ci_low"], high=stored["ci_high"])


def judged(criterion: Mapping[str, Any], specimen: Mapping[str, Any]) -> Interval:
    """Return a share that a rule judged, with its interval: whatever the cells are that were not called."""
    low, high = criterion["ci_low_none_abstained_positive"], criterion["ci_high_all_abstained_positive"]
    return Interval(value=criterion["positive"] / max(1, specimen["cells"]), low=low, high=high)


def exact(positive: int, cells: int, level: float) -> Interval:
    """Return a share with its exact binomial interval (Clopper and Pearson); `cells` is not 0."""
    low, high = clopper_pearson(positive, cells, level)
    return Interval(value=positive / cells, low=low, high=high)


def share_of(specimen: Mapping[str, Any], cell_class: str, level: float) -> Interval | None:
    """Return a class's share of a specimen's cells: as it was judged, else by its counts; None without cells."""
    stored = specimen.get("shares", {}).get(cell_class)
    if stored and stored.get("value") is not None:
        return interval(stored)
    if not specimen["cells"]:
        return None
    return exact(specimen["counts"].get(cell_class, 0), specimen["cells"], level)


def axis_for(shares: Iterable[Interval | None], thresholds: Iterable[float | None] = ()) -> float:
    """Return the end of an axis, 0 to 1, on which all of it can be drawn."""
    ends = [one.high for one in shares if one] + [one for one in thresholds if one]
    needed = min(1.0, _ROOM * max(ends, default=0.0))
    return next(axis for axis in _AXES if axis >= needed)


def bar(share: Interval, *, axis: float, threshold: float | None, colour: str, of: str) -> Bar:
    """Return a share as it is drawn; `of` names the cells for those who do not see it."""
    against = f", threshold {words.threshold(threshold)}" if threshold is not None else ""
    alt = f"{of}: {words.percent(share.value)}, interval {words.span(share.low, share.high)}{against}"
    return Bar(share=share, axis=axis, threshold=threshold, colour=colour, alt=alt)
