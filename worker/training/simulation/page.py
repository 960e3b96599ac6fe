"""The tables of the study, between two marks of the page that explains it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worker.training.simulation import beside, fixed
from worker.training.simulation.study import THRESHOLD, Study

BEGIN, END = "<!-- study begins: python -m worker.training.simulation -->", "<!-- study ends -->"


def put(page: str, found: Study) -> str:
    """Return the page with the study's tables in place of those before. Raises ValueError without the two marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no place for the study: give it the lines {BEGIN} and {END}")
    parts = (_fixed(found), _looks(found), _two(found), _uneven(found), _confused(found), _beside(found))
    return f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}"


def _fixed(found: Study) -> str:
    at = {(one.cells, one.share): one for one in found.fixed}
    rows = [
        (
            f"{cells:,}",
            _percent(found.least[cells]),
            *(_percent(at[cells, share].width / 2) for share in (0.02, 0.1, 0.2, 0.4)),
            _percent(at[cells, THRESHOLD].above, 2),
            _percent(at[cells, THRESHOLD].below, 2),
            *(_percent(abs(1 - at[cells, share].above - at[cells, share].below)) for share in (0.15, 0.25, 0.3)),
        )
        for cells in fixed.CELLS
    ]
    heads = ("cells", "least coverage", "± at 2 %", "10 %", "20 %", "40 %", "wrongly above", "wrongly below",
             "open at 15 %", "25 %", "30 %")  # fmt: skip
    return "### A number of cells fixed beforehand (exact)\n\n" + _table(heads, rows)


def _looks(found: Study) -> str:
    rows = [
        (
            _percent(one.share, 0),
            _percent(one.coverage),
            f"{one.cells:,.0f}",
            _percent(1 - one.cells / whole.cells, 0),
            *(_percent(of, 1) for of in (one.above, one.below, whole.above, whole.below)),
            _percent(peek.coverage),
            *(_percent(of, 1) for of in (peek.above, peek.below)),
        )
        for one, whole, peek in zip(found.looks, found.whole, found.peeking, strict=True)
    ]
    heads = ("true share", "coverage with looks", "cells", "saved", "above", "below", "read whole: above", "below",
             "peeking: coverage", "above", "below")  # fmt: skip
    return f"### One slide of 3,000 cells, {found.patients:,} patients a row\n\n" + _table(heads, rows)


def _two(found: Study) -> str:
    rows = [
        (
            _percent(one.share, 0),
            _percent(one.coverage),
            f"{one.cells:,.0f}",
            _percent(one.stopped, 0),
            _percent(one.above, 1),
            _percent(one.below, 1),
        )
        for one in found.two
    ]
    heads = ("true share", "coverage", "cells", "slides stopped", "above", "below")
    return "### Two slides of 3,000 cells, each stopped by its own looks\n\n" + _table(heads, rows)


def _uneven(found: Study) -> str:
    spreads = sorted({one.spread for one in found.widened})
    wide = {(one.share, one.spread): one for one in found.widened}
    plain = {(one.share, one.spread): one for one in found.unwidened}
    rows = [
        (
            _percent(share, 0),
            *(f"{_percent(plain[share, s].coverage)} → {_percent(wide[share, s].coverage)}" for s in spreads),
        )
        for share in sorted({one.share for one in found.widened})
    ]
    heads = ("true share", *(f"correlation {one:g}" for one in spreads))
    return "### Coverage where cells of an area are alike: not widened → widened\n\n" + _table(heads, rows)


def _confused(found: Study) -> str:
    rows = [
        (
            one.cell_class.replace("_", " ") + "s",
            _percent(one.share, 0),
            _percent(one.raw, 1),
            _percent(one.raw_coverage, 0),
            _percent(one.corrected, 1),
            _percent(one.corrected_coverage, 0),
        )
        for one in found.confused
    ]
    heads = ("class", "true share", "counted, mean", "coverage", "corrected, mean", "coverage")
    return "### 600 cells confused as by the shipped model\n\n" + _table(heads, rows)


def _beside(found: Study) -> str:
    parts = sorted({one.left_open for one in found.beside})
    at = {(one.share, one.left_open): one for one in found.beside}
    rows = [
        (
            _percent(share, 0),
            *(f"{_percent(at[share, part].waits, 0)} → {_percent(at[share, part].stands, 0)}" for part in parts),
        )
        for share in sorted({one.share for one in found.beside})
    ]
    heads = ("true share of lymphoblasts", *(f"{_percent(part, 0)} of them not called" for part in parts))
    title = f"Found `consistent_with_MM` at {_percent(beside.PLASMA_CELLS, 0)} plasma cells, {beside.CELLS} cells"
    return f"### {title}: by {beside.WAITS} → by {beside.STANDS}\n\n" + _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"
