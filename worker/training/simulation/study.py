"""The whole study: every part of it for the shares and numbers that the documentation shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from db.records import CellClass, Confusion
from worker.rules import RULES
from worker.training.simulation import adaptive, beside, confused, fixed

RULE = RULES["marrowline-2026.3-adaptive"]
THRESHOLD = next(one.threshold for one in RULE.criteria if one.disease == "ALL")
_SPREADS = (0.0, 0.01, 0.02, 0.05)
_UNEVEN_SHARES = (0.05, 0.10, 0.20, 0.30, 0.40)
_TWO_SHARES = (0.02, 0.10, 0.15, 0.18, 0.20, 0.25, 0.40)
_CONFUSED_SHARES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.40)
_OPEN_SHARES = (0.02, 0.10, 0.15, 0.18, 0.20, 0.25, 0.30)
_LEFT_OPEN = (0.05, 0.20, 0.50)
_SUSPECTS = (CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL)
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """All results, in the order of the shares."""

    patients: int
    fixed: Sequence[fixed.Fixed]
    least: dict[int, float]  # least coverage over all shares, per number of cells
    looks: Sequence[adaptive.Row]
    whole: Sequence[adaptive.Row]
    peeking: Sequence[adaptive.Row]
    two: Sequence[adaptive.Row]
    widened: Sequence[adaptive.Row]
    unwidened: Sequence[adaptive.Row]
    confused: Sequence[confused.Row]
    beside: Sequence[beside.Row]


def carry_out(confusion: Confusion, *, seed: int, patients: int, tell: Tell) -> Study:
    """Return the study; `tell` is told which part begins. The same seed gives the same study."""
    tell("counts that are fixed beforehand")
    shares = np.arange(0.01, 0.4001, 0.001)
    singly = [fixed.study(share, cells, threshold=THRESHOLD, error=RULE.error) for cells in fixed.CELLS
              for share in fixed.SHARES]  # fmt: skip
    least = {cells: fixed.least_coverage(cells, error=RULE.error, shares=shares) for cells in fixed.CELLS}
    tell("looks at slides")
    looks, whole, peeking = zip(*(_looked(share, seed, patients) for share in fixed.SHARES), strict=True)
    tell("patients with two slides")
    two = [_two(share, seed, patients) for share in _TWO_SHARES]
    tell("cells that lie unevenly")
    uneven = [_uneven(share, spread, seed, patients) for spread in _SPREADS for share in _UNEVEN_SHARES]
    tell("classes that are confused")
    rng = np.random.default_rng([seed, 4])
    mended = [confused.study(one, share, confusion, rng, patients=max(1, patients // 4)) for one in _SUSPECTS
              for share in _CONFUSED_SHARES]  # fmt: skip
    tell("one disease shown, another left open")
    rng = np.random.default_rng([seed, 5])
    open_ones = [beside.study(share, left_open, rng, patients=max(1, patients // 4)) for share in _OPEN_SHARES
                 for left_open in _LEFT_OPEN]  # fmt: skip
    return Study(
        patients=patients,
        fixed=singly,
        least=least,
        looks=looks,
        whole=whole,
        peeking=peeking,
        two=two,
        widened=[one for one, _ in uneven],
        unwidened=[one for _, one in uneven],
        confused=mended,
        beside=open_ones,
    )


def _looked(share: float, seed: int, patients: int) -> tuple[adaptive.Row, adaptive.Row, adaptive.Row]:
    """Return the same slides read with looks, to their end, and as one should not."""
    drawn = [adaptive.slide(rng, share, 0.0) for rng in adaptive.draws((seed, 1, round(1000 * share)), patients)]
    least = min(RULE.looks[1:])
    ways = (
        [adaptive.patient([one], looks=True) for one in drawn],
        [adaptive.patient([one], looks=False) for one in drawn],
        [adaptive.peeking(one, threshold=THRESHOLD, error=RULE.error, least=least) for one in drawn],
    )
    looks, whole, peeking = (adaptive.study(found, share=share, spread=0.0, slides=1) for found in ways)
    return looks, whole, peeking


def _two(share: float, seed: int, patients: int) -> adaptive.Row:
    found = [
        adaptive.patient([adaptive.slide(rng, share, 0.0) for _ in range(2)], looks=True)
        for rng in adaptive.draws((seed, 2, round(1000 * share)), patients)
    ]
    return adaptive.study(found, share=share, spread=0.0, slides=2)


def _uneven(share: float, spread: float, seed: int, patients: int) -> tuple[adaptive.Row, adaptive.Row]:
    rngs = adaptive.draws((seed, 3, round(1000 * share), round(1000 * spread)), patients)
    drawn = [adaptive.slide(rng, share, spread) for rng in rngs]
    widened, unwidened = (
        adaptive.study(
            [adaptive.patient([one], looks=False, widened=wide) for one in drawn], share=share, spread=spread, slides=1
        )
        for wide in (True, False)
    )
    return widened, unwidened
