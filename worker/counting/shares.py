"""Shares of the counted cells with their intervals, and the chance that the true one reaches its threshold.

The chance is the Jeffreys posterior's (Brown, Cai and DasGupta, Stat Sci 2001;16:101).
"""

from __future__ import annotations

from scipy.special import betainc

from db.counts import Share, SpecimenTally
from db.records import NOT_COUNTED, CellClass
from worker.counting.dispersion import design_effect
from worker.counting.intervals import counted, exact
from worker.counting.looks import error_of
from worker.rules import RuleSet

SHOWN = (CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL)
"""The classes that rules judge."""
UNKNOWN = Share(value=None, ci_low=0.0, ci_high=1.0, threshold=None, p_above=None)


def share(tally: SpecimenTally, cell_class: CellClass, rule: RuleSet) -> Share:
    """Return the share of one class among the counted cells; abstained ones are counted, as none of it."""
    cells, positive = counted(tally), tally.counts.get(cell_class, 0)
    if not cells:
        return UNKNOWN
    effect = design_effect(tally, cell_class) if rule.widened else 1.0
    low, high = exact(positive / effect, cells / effect, error_of(tally, rule))
    threshold = next((c.threshold for c in rule.criteria_for(tally.specimen) if c.cell_class is cell_class), None)
    above = None
    if threshold is not None:
        above = 1.0 - float(betainc(positive / effect + 0.5, (cells - positive) / effect + 0.5, threshold))
    return Share(value=positive / cells, ci_low=low, ci_high=high, threshold=threshold, p_above=above)


def shares(tally: SpecimenTally, rule: RuleSet) -> dict[CellClass, Share]:
    """Return the shares of the classes that rules judge and of every other counted class that was called."""
    called = (CellClass(name) for name in sorted(tally.counts))
    wanted = dict.fromkeys((*SHOWN, *(one for one in called if one not in NOT_COUNTED)))
    return {one: share(tally, one, rule) for one in wanted}
