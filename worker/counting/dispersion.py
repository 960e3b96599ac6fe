"""Whether a class is spread more unevenly than chance does, between slides and between areas of a slide.

Pearson's chi-square over its degrees of freedom says by how much the counts vary more than those of independent cells
would. The sample then tells as much as so many times fewer cells: its interval is Clopper and Pearson's of the counts
divided by that number, the design effect (Rao and Scott, J Am Stat Assoc 1981;76:221). How uncertain the number is
itself is allowed for by the ratio of the quantiles of t and normal distribution, squared (Korn and Graubard, Surv
Methodol 1998;24:193). Of a few slides or areas only, where this would swamp everything, the number counts as it is, and
only where the test finds that chance does not explain it (p below `_P`). Of slides and areas the greater effect counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scipy.special import chdtrc, ndtri, stdtrit

from db.counts import AREAS, BatchCount, Measured, SlideTally, SpecimenTally
from db.records import NOT_COUNTED, CellClass
from worker.counting.intervals import counted

_P = 0.05
_ENOUGH = 9
"""Degrees of freedom from which the dispersion is taken for known, within its own uncertainty."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How unevenly one class is spread."""

    cell_class: str
    chi2: float
    df: int

    @property
    def p(self) -> float:
        """The chance of so uneven counts, or more, where the cells lie independently."""
        return float(chdtrc(self.df, self.chi2))

    @property
    def dispersion(self) -> float:
        """How many times the counts vary as much as those of independent cells."""
        return self.chi2 / self.df

    @property
    def design_effect(self) -> float:
        """How many counted cells tell as much as one independent cell."""
        if self.df < _ENOUGH:
            return self.dispersion if self.p < _P else 1.0
        allowance = float(stdtrit(self.df, 1 - _P / 2) / ndtri(1 - _P / 2)) ** 2
        return max(1.0, self.dispersion * allowance)


def between_slides(tally: SpecimenTally) -> list[Spread]:
    """Return the spread of each class that is frequent enough for the test; nothing of a single slide."""
    slides = [one for one in tally.slides if counted(one)]
    spreads = (_between(slides, name) for name in _counted_classes(tally)) if len(slides) > 1 else iter(())
    return [one for one in spreads if one is not None]


def between_areas(tally: SpecimenTally) -> list[Spread]:
    """Return the spread of each class over the areas of its slides, all slides taken together."""
    return [one for name in _counted_classes(tally) if (one := _over_areas(tally.slides, name)) is not None]


def measured_over(batches: Iterable[BatchCount]) -> dict[str, Measured]:
    """Return each class's spread over the areas of one run, as it is stored of a finished one (db/measuring.py)."""
    cells: Counter[int] = Counter()
    called: dict[str, Counter[int]] = {}
    for one in batches:
        cells[one.no % AREAS] += sum(one.called.values()) + one.abstained
        for name, n in one.called.items():
            called.setdefault(name, Counter())[one.no % AREAS] += n
    areas = [area for area in sorted(cells) if cells[area]]
    found = {name: _over([of[area] for area in areas], [cells[area] for area in areas]) for name, of in called.items()}
    return {name: one for name, one in found.items() if one is not None}


def _over(called: Sequence[int], cells: Sequence[int]) -> Measured | None:
    positive, total, areas = sum(called), sum(cells), len(cells)
    if areas < 2 or min(positive, total - positive) < areas:
        return None
    off = sum(k * k / n for k, n in zip(called, cells, strict=True)) - positive * positive / total
    chi2 = max(0.0, off * total * total / (positive * (total - positive)))
    return Measured(areas_chi2=chi2, areas_df=areas - 1)


def design_effect(tally: SpecimenTally, cell_class: CellClass) -> float:
    """Return how many counted cells tell as much as one independent cell; 1 where no unevenness was found."""
    spreads = [one for one in (*between_slides(tally), *between_areas(tally)) if one.cell_class == cell_class]
    return max((one.design_effect for one in spreads), default=1.0)


def _counted_classes(tally: SpecimenTally) -> Iterator[str]:
    return (name for name in sorted(tally.counts) if CellClass(name) not in NOT_COUNTED)


def _between(slides: Sequence[SlideTally], name: str) -> Spread | None:
    called, cells = [one.counts.get(name, 0) for one in slides], [counted(one) for one in slides]
    share = sum(called) / sum(cells)
    # With fewer than one expected on a slide the statistic does not follow chi-square.
    if min(share, 1 - share) * min(cells) < 1:
        return None
    off = ((k - n * share) ** 2 / (n * share * (1 - share)) for k, n in zip(called, cells, strict=True))
    return Spread(cell_class=name, chi2=sum(off), df=len(slides) - 1)


def _over_areas(slides: Sequence[SlideTally], name: str) -> Spread | None:
    of_class = [one.measured[name] for one in slides if name in one.measured]
    known = [(one.areas_chi2, one.areas_df) for one in of_class if one.areas_chi2 is not None and one.areas_df]
    if not known:
        return None
    return Spread(cell_class=name, chi2=sum(chi2 for chi2, _ in known), df=sum(df for _, df in known))
