"""Looking at the counts of one run at fixed numbers of cells, to stop counting where more would not change the finding.

Whoever looks at 95 % intervals again and again, and stops when one is clear of its threshold, is wrong more often than
5 times in 100. So the error that the rule allows is spent over the looks, little at the first ones and most at the end:
alpha t^3 by the look at the part t of `FULL_CELLS` (the power family of Kim and DeMets, Biometrika 1987;74:149; with
the exponent 3 it is close to the boundaries of O'Brien and Fleming, Biometrics 1979;35:549). The interval of a look is
Clopper and Pearson's at the error spent there alone. However the looks hang together, the chance that any one of these
intervals misses the true share is then at most the sum of what was spent: the rule's error (Bonferroni). That is exact
for every number of cells, and holds for the interval of a run that was stopped as for one that was not.

What was spent on looks that did not stop is gone: a run read to its end keeps 1 - t^3 of the error for its last one.
A patient's runs stop each by its own counts. The shares of the error multiply: those of all the ways in which the runs
could have stopped sum to one, so that an interval of the pooled counts at the product of the shares is exact again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from db.counts import SpecimenTally
from db.records import Specimen
from worker.counting.intervals import counted
from worker.counting.judging import Side, judge, sentences
from worker.rules import RuleSet

FULL_CELLS = 2000
"""Cells at which all of the error would be spent: as many as a generous manual count of one smear."""
_EXPONENT = 3


@dataclass(frozen=True, kw_only=True)
class Look:
    """A look at which counting may stop."""

    at: int  # the number of cells for which it was planned
    cells: int  # counted when it was taken: the batch that reached the number is counted whole
    share: float  # of the rule's error that is spent on this look
    reason: str


def looks_for(rule: RuleSet, specimen: Specimen) -> tuple[int, ...]:
    """Return the numbers of cells at which counting may stop, in order; none where the rule judges no such specimen.

    A look at fewer cells than the rule needs could not stop, so none of the error is spent on it.
    """
    if not rule.criteria_for(specimen):
        return ()
    return tuple(at for at in sorted(rule.looks) if rule.min_cells[specimen] <= at < FULL_CELLS)


def due(rule: RuleSet, specimen: Specimen, before: int, after: int) -> int | None:
    """Return the look that a batch makes due when it brings the counted cells from `before` to `after`.

    The last one, where a batch steps over several; None where it reaches none. By these counts alone, in the order of
    the plan's batches, every worker that carries the plan out takes the same looks.
    """
    return max((at for at in looks_for(rule, specimen) if before < at <= after), default=None)


def stop(tally: SpecimenTally, rule: RuleSet, look: int) -> Look | None:
    """Return why counting may stop at this look of one run; None: it must go on.

    It may when every interval of this look is clear of its threshold, whatever the abstained cells are, and, where a
    threshold that is reached stands, most cells were called: else the finding would be open all the same. Raises
    ValueError for a look that the rule does not take in this specimen, or that the counted cells have not reached.
    """
    share, cells = share_of_look(rule, tally.specimen, look), counted(tally)
    if cells < look:
        raise ValueError(f"a look at {look} cells when {cells} are counted")
    judged = judge(tally, rule, rule.error * share)
    if any(one.side is Side.STRADDLES or (rule.reached_stands and one.mostly_abstained) for one in judged):
        return None
    reason = f"clear of every threshold at the look at {look} cells: {sentences(judged)}"
    return Look(at=look, cells=cells, share=share, reason=reason)


def share_of_look(rule: RuleSet, specimen: Specimen, look: int) -> float:
    """Return the share of the rule's error that is spent on one look. Raises ValueError for one it does not take."""
    looks = looks_for(rule, specimen)
    if look not in looks:
        raise ValueError(f"{rule.name} takes no look at {look} cells of {specimen}; it does at {looks}")
    return _spent(look) - _spent(max((at for at in looks if at < look), default=0))


def share_at_end(rule: RuleSet, specimen: Specimen, cells: int) -> float:
    """Return the share of the error left to a run that was read to its end, with so many counted cells."""
    return 1.0 - _spent(max((at for at in looks_for(rule, specimen) if at <= cells), default=0))


def error_of(tally: SpecimenTally, rule: RuleSet) -> float:
    """Return the error that an interval of these pooled counts may have: what the looks of their runs left of it."""
    return rule.error * prod(one.error_share for one in tally.slides)


def _spent(cells: int) -> float:
    return (cells / FULL_CELLS) ** _EXPONENT
