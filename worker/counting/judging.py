"""A rule's criteria held against one specimen's counts: does an interval lie above its threshold, below, or astride."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.counts import SpecimenTally
from worker.counting.dispersion import design_effect
from worker.counting.intervals import counted, exact
from worker.rules import Criterion, RuleSet


class Side(StrEnum):
    """Where an interval lies against its threshold."""

    ABOVE = "above"
    BELOW = "below"
    STRADDLES = "straddles"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One criterion held against one specimen's counts."""

    criterion: Criterion
    positive: int
    abstained: int
    cells: int
    ci_low: float  # with no abstained cell positive
    ci_high: float  # with every abstained cell positive
    called_high: float  # the upper limit of the share among the called cells
    error: float  # the chance that the interval misses
    design_effect: float  # how many cells tell as much as one independent cell

    @property
    def side(self) -> Side:
        """Where the interval lies."""
        if self.ci_low >= self.criterion.threshold:
            return Side.ABOVE
        return Side.BELOW if self.ci_high < self.criterion.threshold else Side.STRADDLES

    @property
    def open_by_abstained(self) -> bool:
        """Whether the called cells lie below the threshold, and only abstained ones could reach it."""
        return self.side is Side.STRADDLES and self.called_high < self.criterion.threshold

    @property
    def mostly_abstained(self) -> bool:
        """Whether more than half of the cells have no call, as where the input is no stained smear."""
        return 2 * self.abstained > self.cells

    def sentence(self) -> str:
        """The counts, the interval and the threshold in words."""
        c = self.criterion
        doubt = f", {self.abstained} abstained" if self.abstained else ""
        if self.design_effect > 1:
            doubt += f", so unevenly spread that {self.design_effect:.1f} tell as much as one"
        return (
            f"{c.cell_class.replace('_', ' ')}s {self.positive} of {self.cells} cells in {c.specimen}{doubt}: "
            f"{percent(self.ci_low)}-{percent(self.ci_high)} % against {percent(c.threshold)} %"
        )


def judge(tally: SpecimenTally, rule: RuleSet, error: float) -> list[Judged]:
    """Hold the specimen's counts against each criterion for it, by intervals that miss with at most this chance."""
    return [
        _judge_one(one, tally, error, design_effect(tally, one.cell_class) if rule.widened else 1.0)
        for one in rule.criteria_for(tally.specimen)
    ]


def _judge_one(criterion: Criterion, tally: SpecimenTally, error: float, effect: float) -> Judged:
    cells, positive = counted(tally), tally.counts.get(criterion.cell_class, 0)
    low, _ = exact(positive / effect, cells / effect, error)
    _, called_high = exact(positive / effect, (cells - tally.abstained) / effect, error)
    _, high = exact((positive + tally.abstained) / effect, cells / effect, error)
    return Judged(
        criterion=criterion,
        positive=positive,
        abstained=tally.abstained,
        cells=cells,
        ci_low=low,
        ci_high=high,
        called_high=called_high,
        error=error,
        design_effect=effect,
    )


def sentences(judged: Sequence[Judged]) -> str:
    """Return them all in words."""
    return "; ".join(one.sentence() for one in judged)


def percent(share: float) -> str:
    """Return a share as a number of per cent with one decimal, if it has one."""
    return f"{100 * share:.1f}".removesuffix(".0")
