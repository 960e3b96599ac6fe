"""Drawn slides read to their end or to a look, by the very code that stops a worker (worker/counting/course.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from db.counts import BatchCount, SlideTally, SpecimenTally
from db.records import CellClass, Specimen
from worker.counting.course import Course, counting_for, course_of
from worker.counting.dispersion import measured_over
from worker.counting.intervals import exact
from worker.counting.judging import Judged, Side, judge
from worker.counting.looks import error_of
from worker.rules import DEFAULT_RULE, RULES, RuleSet

FULL = 3000
"""Counted cells of a drawn slide, about."""
_BATCH = 60
_BLAST, _OTHER = CellClass.LYMPHOBLAST.value, CellClass.NEUTROPHIL.value
_ADAPTIVE = "marrowline-2026.3-adaptive"
_WHOLE = DEFAULT_RULE


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What became of one drawn patient."""

    cells: int
    low: float
    high: float
    side: Side
    stopped: int  # slides that were not read to their end


@dataclass(frozen=True, kw_only=True)
class Row:
    """Many patients of one true share."""

    share: float
    spread: float  # correlation of the cells of an area
    slides: int
    coverage: float
    cells: float  # mean
    stopped: float  # part of the slides
    above: float
    below: float


def study(patients: Sequence[Patient], *, share: float, spread: float, slides: int) -> Row:
    """Return how often the intervals hold the true share, and what was found, at what cost."""
    return Row(
        share=share,
        spread=spread,
        slides=slides,
        coverage=float(np.mean([one.low <= share <= one.high for one in patients])),
        cells=float(np.mean([one.cells for one in patients])),
        stopped=float(np.mean([one.stopped / slides for one in patients])),
        above=float(np.mean([one.side is Side.ABOVE for one in patients])),
        below=float(np.mean([one.side is Side.BELOW for one in patients])),
    )


def slide(rng: np.random.Generator, share: float, spread: float) -> tuple[BatchCount, ...]:
    """Draw a slide's batches; with spread > 0 each area has a share of its own, of that correlation (beta-binomial)."""
    sizes = 1 + rng.poisson(_BATCH - 1, FULL // _BATCH)
    weight = np.inf if spread == 0 else 1 / spread - 1
    own = np.full(len(sizes), share) if spread == 0 else rng.beta(share * weight, (1 - share) * weight, len(sizes))
    blasts = rng.binomial(sizes, own)
    return tuple(
        BatchCount(no=no, called={_BLAST: int(k), _OTHER: int(n - k)})
        for no, (n, k) in enumerate(zip(sizes, blasts, strict=True))
    )


def patient(slides: Sequence[Sequence[BatchCount]], *, looks: bool, widened: bool = True) -> Patient:
    """Read the slides as the rule says and hold the pooled counts against the threshold of lymphoblasts."""
    rule = RULES[_ADAPTIVE if looks else _WHOLE if widened else "marrowline-2026.1"]
    parts = [_read(no, batches, rule, looks=looks) for no, batches in enumerate(slides)]
    found = _judged(parts, rule)
    return Patient(
        cells=found.cells,
        low=found.ci_low,
        high=found.ci_high,
        side=found.side,
        stopped=sum(one.stop is not None and one.stop.look is not None for one in parts),
    )


def peeking(batches: Sequence[BatchCount], *, threshold: float, error: float, least: int) -> Patient:
    """Count as one should not: look after every batch at an interval that spends all of the error each time."""
    cells = positive = 0
    for one in batches:
        positive, cells = positive + one.called[_BLAST], cells + sum(one.called.values())
        low, high = exact(positive, cells, error)
        if cells >= least and (low >= threshold or high < threshold):
            break
    side = Side.ABOVE if low >= threshold else Side.BELOW if high < threshold else Side.STRADDLES
    return Patient(cells=cells, low=low, high=high, side=side, stopped=int(one is not batches[-1]))


def _read(no: int, batches: Sequence[BatchCount], rule: RuleSet, *, looks: bool) -> SlideTally:
    stop = None
    if looks:
        course = course_of({"counting": counting_for(rule.name, Specimen.MARROW)})
        assert course is not None  # noqa: S101 - a rule with looks takes them in marrow
        stop = reduce(Course.after, batches, course).end()
    kept = batches[: stop.n_read] if stop else batches
    counts = {name: sum(one.called[name] for one in kept) for name in (_BLAST, _OTHER)}
    return SlideTally(slide_id=no, counts=counts, abstained=0, measured=measured_over(kept), stop=stop)


def _judged(parts: Sequence[SlideTally], rule: RuleSet) -> Judged:
    counts = {name: sum(one.counts[name] for one in parts) for name in (_BLAST, _OTHER)}
    tally = SpecimenTally(
        specimen=Specimen.MARROW, counts=counts, abstained=0, slides_done=len(parts), slides=tuple(parts)
    )
    return next(one for one in judge(tally, rule, error_of(tally, rule)) if one.criterion.disease == "ALL")


def draws(seed: Sequence[int], number: int) -> Iterator[np.random.Generator]:
    """Yield a generator for each patient, the same ones for the same seed."""
    yield from (np.random.default_rng(one) for one in np.random.SeedSequence(list(seed)).spawn(number))
