"""Bootstrap intervals by group: patients are drawn, not cells, because cells of one patient are alike.

Field and Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69 (2007): 369; percentile intervals.
One set of draws serves every system and both protocols of a task, so that their differences have intervals too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.training.classification.evaluation.metrics import Values, statistics
from worker.training.classification.evaluation.outcome import Outcome

DRAWS = 1000
_SEED = 20261
_OUTSIDE = 0.05
_AT_ONCE = 2**22
"""Weights held at a time: 32 MB."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with its 95 % interval; no interval where fewer than two groups could be drawn."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval, of a difference, lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """B bootstrap samples of a task's groups."""

    groups: tuple[str, ...]  # G of them, sorted
    counts: NDArray[np.int64]  # (B, G) how often each sample holds each group

    def weights(self, outcome: Outcome, chosen: slice) -> Values:
        """Return (b, N) how often each row counts in the chosen samples; the outcome's groups are among these."""
        columns = np.searchsorted(self.groups, outcome.group)
        return self.counts[chosen][:, columns].astype(np.float64)


def group_draws(groups: Sequence[str], draws: int = DRAWS) -> Draws:
    """Draw as many groups as there are, with replacement; the same names always give the same draws."""
    names = tuple(sorted(set(groups)))
    random = np.random.default_rng(_SEED)
    return Draws(groups=names, counts=random.multinomial(len(names), [1 / len(names)] * len(names), size=draws))


def drawn_statistics(outcome: Outcome, draws: Draws) -> dict[str, Values]:
    """Return each figure in each sample, (B,); NaN where a sample lacks a class."""
    step = max(1, _AT_ONCE // len(outcome))
    starts = range(0, len(draws.counts), step)
    parts = [statistics(outcome, draws.weights(outcome, slice(start, start + step))) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def figure(value: float, drawn: Values, groups: int) -> Figure:
    """Return a figure of `groups` groups with the interval that its samples span.

    Without a single error every sample repeats the figure, and no width would claim certainty. The open bound is then
    the one that Clopper and Pearson (1934) give for as many groups without an error.
    """
    known = drawn[~np.isnan(drawn)]
    if groups < 2 or not len(known) or np.isnan(value):
        return Figure(value=float(value))
    low, high = np.quantile(known, [_OUTSIDE / 2, 1 - _OUTSIDE / 2])
    if low == high == value and value in {0.0, 1.0}:
        unseen = 1 - (_OUTSIDE / 2) ** (1 / groups)
        low, high = (1 - unseen, 1.0) if value == 1 else (0.0, unseen)
    return Figure(value=float(value), low=float(low), high=float(high))


def difference(first: tuple[float, Values], second: tuple[float, Values], groups: int) -> Figure:
    """Return first less second, each a figure and its samples of the same draws.

    No interval where it is the same in every sample, as when neither ever errs: that tells nothing about other groups.
    """
    known = first[1] - second[1]
    known = known[~np.isnan(known)]
    value = float(first[0] - second[0])
    if groups < 2 or not len(known) or np.isnan(value) or known.min() == known.max():
        return Figure(value=value)
    low, high = np.quantile(known, [_OUTSIDE / 2, 1 - _OUTSIDE / 2])
    return Figure(value=value, low=float(low), high=float(high))
