"""The figures of a segmenter on the fields of one source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worker.training.segmentation.clumps import ClumpCounts, clump_counts
from worker.training.segmentation.fields import Listed, TrueField
from worker.training.segmentation.metrics import (
    Counts,
    Labels,
    aggregated_jaccard,
    counts,
    mask_dice,
    mask_jaccard,
    overlap,
)
from worker.training.segmentation.partial import PartialCounts, partial_counts, without_rim
from worker.training.segmentation.sets import Known

SegmentFn = Callable[[NDArray[np.uint8], float], tuple[Labels, Labels]]
"""From (H, W, 3) uint8 RGB and its µm/px to (H, W) labels of cells and of nuclei."""

_DRAWS = 2000
_SEED = 20260
_INSIDE = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with the 95 % interval of a bootstrap over groups; without one where there is but one group."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Masks:
    """How well a field's masks and cells agree when every found cell is held against the outlined ones."""

    dice: float
    jaccard: float
    aggregated_jaccard: float
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class FieldScore:
    """What was found in one field; None where the field's outlines cannot tell."""

    name: str
    group: str
    whole: Masks | None = None  # not where only some cells are outlined
    without_rim: Masks | None = None  # where only the middle cell is: less the strangers that reach in
    nucleus_dice: float | None = None
    partial: PartialCounts | None = None  # where only some cells are outlined
    clumps: ClumpCounts | None = None  # where every cell is, touching ones by themselves

    @property
    def mark(self) -> float:
        """The one figure by which fields are ranked: Dice, over the outlined cells where only some are."""
        if self.partial is not None:
            strict = self.partial.strict
            return strict.dice_sum / strict.truth if strict.truth else 1.0
        return self.whole.dice if self.whole is not None else 0.0

    @property
    def counts(self) -> Counts:
        """Cells matched one to one, strictly."""
        if self.partial is not None:
            return self.partial.strict
        return self.whole.counts if self.whole is not None else Counts()


@dataclass(frozen=True, kw_only=True)
class SourceScore:
    """A source's fields as one segmenter did on them."""

    source: str
    segmenter: str
    known: Known
    fields: Sequence[FieldScore] = field(repr=False)

    @property
    def counts(self) -> Counts:
        """Cells of all fields together."""
        return sum((one.counts for one in self.fields), start=Counts())

    @property
    def partial(self) -> PartialCounts | None:
        """Components of all fields together; None where every cell is outlined."""
        found = [one.partial for one in self.fields if one.partial is not None]
        return sum(found[1:], start=found[0]) if found else None

    @property
    def clumps(self) -> ClumpCounts:
        """Clumps of all fields together."""
        return sum((one.clumps for one in self.fields if one.clumps is not None), start=ClumpCounts())

    @property
    def count_error(self) -> float:
        """Mean over fields of how many cells too many or too few were found."""
        return float(np.mean([abs(one.counts.error) for one in self.fields]))

    def mean(self, of: Callable[[FieldScore], float | None]) -> Figure | None:
        """Return the mean over fields of a figure that they have, with its interval; None where none has it."""
        held = [(one, value) for one in self.fields if (value := of(one)) is not None]
        return ratio([one.group for one, _ in held], [(value, 1.0) for _, value in held]) if held else None

    def share(self, of: Callable[[FieldScore], tuple[float, float]]) -> Figure | None:
        """Return the share that two sums over all fields make, with its interval; None where the second is 0."""
        return ratio([one.group for one in self.fields], [of(one) for one in self.fields])


def score_source(
    segmenter: str, fields: Sequence[Listed], segment: SegmentFn, told: Callable[[], None] | None = None
) -> SourceScore:
    """Segment and judge the fields of one source one by one; `told` is called after each. ValueError without any."""
    if len({one.source for one in fields}) != 1:
        raise ValueError("fields of one source are judged together, and there must be one at least")
    known, scores = set(), []
    for one in fields:
        truth = one.load()
        known.add(truth.known)
        scores.append(score_field(one, truth, *segment(truth.rgb, truth.mpp_um)))
        if told is not None:
            told()
    return SourceScore(source=fields[0].source, segmenter=segmenter, known=known.pop(), fields=tuple(scores))


def score_field(of: Listed, truth: TrueField, cells: Labels, nuclei: Labels) -> FieldScore:
    """Judge the cells and nuclei found in one field by what is known of it."""
    some, middle = truth.known is Known.SOME_CELLS, truth.known is Known.MIDDLE_CELL
    return FieldScore(
        name=of.name,
        group=of.group,
        whole=None if some else _masks(truth.cells, cells),
        without_rim=_masks(truth.cells, without_rim(truth.cells, cells)) if middle else None,
        nucleus_dice=None if truth.nuclei is None else mask_dice(truth.nuclei, nuclei > 0),
        partial=partial_counts(truth.cells, cells, truth.mpp_um) if some else None,
        clumps=clump_counts(truth.cells, cells) if truth.known is Known.EVERY_CELL else None,
    )


def ratio(groups: Sequence[str], terms: Sequence[tuple[float, float]]) -> Figure | None:
    """Return the ratio of two sums, and the interval that drawing whole groups again gives; None where it is x / 0.

    Percentile bootstrap (Efron 1979) over groups, since fields of one group are no independent cases.
    """
    names, of = np.unique(np.array(groups, dtype=np.str_), return_inverse=True)
    values = np.array(terms, np.float64).reshape(-1, 2)
    sums = np.stack([np.bincount(of, weights=column, minlength=len(names)) for column in values.T], axis=1)
    above, below = sums.sum(axis=0)
    if below == 0:
        return None
    if len(names) < 2:
        return Figure(value=float(above / below))
    times = np.random.default_rng(_SEED).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS)
    drawn = times @ sums
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], _INSIDE)
    return Figure(value=float(above / below), low=float(low), high=float(high))


def _masks(truth: Labels, found: Labels) -> Masks:
    shared = overlap(truth, found)
    return Masks(
        dice=mask_dice(truth > 0, found > 0),
        jaccard=mask_jaccard(truth > 0, found > 0),
        aggregated_jaccard=aggregated_jaccard(shared),
        counts=counts(shared),
    )
