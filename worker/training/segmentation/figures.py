"""The named figures of a source, as tables and documents give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.training.segmentation.metrics import Counts
from worker.training.segmentation.scores import FieldScore, Figure, SourceScore
from worker.training.segmentation.sets import Known

_MEANS: Mapping[str, Callable[[FieldScore], float | None]] = {
    "dice": lambda one: one.whole.dice if one.whole else None,  # of all cells' masks
    "jaccard": lambda one: one.whole.jaccard if one.whole else None,
    "aggregated_jaccard": lambda one: one.whole.aggregated_jaccard if one.whole else None,
    "dice_without_rim": lambda one: one.without_rim.dice if one.without_rim else None,
    "nucleus_dice": lambda one: one.nucleus_dice,
}
"""Means over fields."""


def figures(score: SourceScore) -> dict[str, Figure]:
    """Return by name what the source's outlines can tell, shares and means with their intervals."""
    found = {name: score.mean(of) for name, of in _MEANS.items()}
    found |= _matched(score, lambda one: one.counts, "")
    if score.known is Known.SOME_CELLS:
        found |= _matched(score, lambda one: one.partial.joined if one.partial else None, "_joined")
        found |= _matched(score, lambda one: one.partial.single if one.partial else None, "_single")
    else:
        found |= _detected(score, lambda one: one.counts, "")
        found["panoptic_quality"] = Figure(value=score.counts.panoptic_quality)
        found["segmentation_quality"] = Figure(value=score.counts.segmentation_quality)
        found["count_error"] = Figure(value=score.count_error)
    if score.known is Known.MIDDLE_CELL:
        found |= _detected(score, lambda one: one.without_rim.counts if one.without_rim else None, "_without_rim")
    return {name: figure for name, figure in found.items() if figure is not None}


def _matched(score: SourceScore, of: Callable[[FieldScore], Counts | None], suffix: str) -> dict[str, Figure | None]:
    """Return recall, and Dice of what is matched."""
    return {
        f"recall{suffix}": _share(score, of, lambda c: (c.hits, c.truth)),
        f"matched_dice{suffix}": _share(score, of, lambda c: (c.dice_sum, c.hits)),
    }


def _detected(score: SourceScore, of: Callable[[FieldScore], Counts | None], suffix: str) -> dict[str, Figure | None]:
    return {
        f"precision{suffix}": _share(score, of, lambda c: (c.hits, c.found)),
        f"f1{suffix}": _share(score, of, lambda c: (2 * c.hits, c.truth + c.found)),
    }


def _share(
    score: SourceScore, of: Callable[[FieldScore], Counts | None], terms: Callable[[Counts], tuple[float, float]]
) -> Figure | None:
    return score.share(lambda one: terms(of(one) or Counts()))
