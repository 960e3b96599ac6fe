"""Exact binomial intervals of a share of counted cells.

Clopper and Pearson, Biometrika 1934;26:404. They treat the called cells as a random sample and the calls as right.
"""

from __future__ import annotations

from scipy.special import betainccinv, betaincinv

from db.counts import SlideTally, SpecimenTally
from db.records import NOT_COUNTED, CellClass


def counted(tally: SpecimenTally | SlideTally) -> int:
    """Return the denominator: nucleated cells without platelets, smudges, artefacts and megakaryocytes."""
    return tally.abstained + sum(n for name, n in tally.counts.items() if CellClass(name) not in NOT_COUNTED)


def clopper_pearson(positive: float, cells: float, confidence: float) -> tuple[float, float]:
    """Return the exact binomial interval of a share; (0, 1) when nothing was counted."""
    return exact(positive, cells, 1 - confidence)


def exact(positive: float, cells: float, error: float) -> tuple[float, float]:
    """Return the interval that misses the true share with at most this chance, however small it is.

    Numbers that are not whole are those of a sample that tells as much as so many independent cells would.
    """
    low = float(betaincinv(positive, cells - positive + 1, error / 2)) if positive > 0 else 0.0
    high = float(betainccinv(positive + 1, cells - positive, error / 2)) if positive < cells else 1.0
    return low, high
