"""The differential of each specimen, and how much its slides agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.cases import Case
from db.records import NOT_COUNTED
from worker.outputs.report import words
from worker.outputs.report.content import Comparison, Differential, Fact, Group, Interval, Row, SlideShare
from worker.outputs.report.pictures import css_colour
from worker.outputs.report.sample import NOT_CALLED, SeenRun
from worker.outputs.report.shares import axis_for, bar, confidence, exact, judged, share_of


@dataclass(frozen=True, kw_only=True)
class SeenSlide:
    """A slide's name on the page, what was smeared on it, and its cells."""

    name: str
    specimen: str
    cells: SeenRun


def differentials(case: Case, deciding: Sequence[str]) -> tuple[Differential, ...]:
    """Return the differential of each specimen that has counted cells."""
    level = confidence(case.evidence)
    found = [one for one in case.evidence.get("specimens", ()) if one["cells"]]
    return tuple(_differential(one, _criteria(case, one["specimen"]), deciding, level) for one in found)


def comparisons(case: Case, slides: Sequence[SeenSlide], deciding: Sequence[str]) -> tuple[Comparison, ...]:
    """Return each class on each slide of the specimens that have two slides or more, the deciding ones first."""
    level = confidence(case.evidence)
    made: list[Comparison] = []
    for specimen in case.evidence.get("specimens", ()):
        of_it = [one for one in slides if one.specimen == specimen["specimen"] and one.cells.counted]
        if len(of_it) < 2:
            continue
        names = [one.value for one in words.ORDER if one not in NOT_COUNTED and specimen["counts"].get(one.value)]
        ordered = [*(one for one in deciding if one in names), *(one for one in names if one not in deciding)]
        thresholds = _thresholds(_criteria(case, specimen["specimen"]))
        made += [_comparison(name, of_it, specimen, thresholds, level) for name in ordered]
    return tuple(made)


def _criteria(case: Case, specimen: str) -> dict[str, Mapping[str, Any]]:
    """Return what the rule judged in a specimen, by class."""
    return {one["cell_class"]: one for one in case.evidence.get("criteria", ()) if one["specimen"] == specimen}


def _thresholds(criteria: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {name: one["threshold"] for name, one in criteria.items()}


def _differential(
    specimen: Mapping[str, Any], criteria: Mapping[str, Mapping[str, Any]], deciding: Sequence[str], level: float
) -> Differential:
    counted = [one for one in words.ORDER if one not in NOT_COUNTED]
    thresholds = _thresholds(criteria)
    shares = {one.value: share_of(specimen, one.value, level) for one in counted}
    shares |= {name: judged(one, specimen) for name, one in criteria.items()}
    axis = axis_for(shares.values(), thresholds.values())

    def row(name: str) -> Row | None:
        share, called = shares[name], specimen["counts"].get(name, 0)
        if share is None or not (called or name in deciding):
            return None
        title, threshold = words.title(words.plural(name)), thresholds.get(name)
        return _row(title, css_colour(name), called, share, axis=axis, threshold=threshold)

    groups = ((name, [one for one in map(row, classes) if one]) for name, classes in words.LINEAGES.items())
    of_groups = {
        name: sum(specimen["counts"].get(one, 0) for one in classes) for name, classes in words.LINEAGES.items()
    }
    listed = [
        Group(name=name, share=words.percent(of_groups[name] / specimen["cells"]), rows=tuple(rows))
        for name, rows in groups
        if rows
    ]
    return Differential(
        specimen=words.the_specimen(specimen["specimen"]),
        cells=words.count(specimen["cells"]),
        least=words.count(specimen["min_cells"]),
        axis=words.threshold(axis),
        groups=(*listed, *_not_called(specimen, axis, level)),
        outside=_outside(specimen),
        facts=_facts(specimen),
    )


def _row(
    title: str, colour: str, called: int, share: Interval, *, axis: float | None, threshold: float | None = None
) -> Row:
    """Return a line of the table; without an axis it has no bar."""
    scaled = None if axis is None else bar(share, axis=axis, threshold=threshold, colour=colour, of=title)
    return Row(
        name=title,
        colour=colour,
        count=words.count(called),
        share=words.percent(share.value),
        interval=words.span(share.low, share.high),
        bar=scaled,
        decides=threshold is not None,
    )


def _not_called(specimen: Mapping[str, Any], axis: float, level: float) -> tuple[Group, ...]:
    if not specimen["abstained"]:
        return ()
    share = exact(specimen["abstained"], specimen["cells"], level)
    title, fitting = "In doubt, or unlike any class", axis if share.high <= axis else None
    row = _row(title, css_colour(NOT_CALLED), specimen["abstained"], share, axis=fitting)
    return (Group(name="Not called by the model", share=row.share, rows=(row,)),)


def _outside(specimen: Mapping[str, Any]) -> tuple[Fact, ...]:
    counts = ((one, specimen["counts"].get(one.value, 0)) for one in words.ORDER if one in NOT_COUNTED)
    return tuple(Fact(name=words.title(words.plural(one)), value=words.count(n)) for one, n in counts if n)


def _facts(specimen: Mapping[str, Any]) -> tuple[Fact, ...]:
    made = []
    if ratio := specimen.get("m_e_ratio"):
        high = ratio["ci_high"]
        note = f"at least {ratio['ci_low']:.1f}" if high is None else f"{ratio['ci_low']:.1f}{words.TO}{high:.1f}"
        made.append(Fact(name="Myeloid to erythroid (M:E)", value=f"{ratio['value']:.1f} : 1", note=note))
    if (smudge := specimen.get("smudge_per_100")) is not None:
        made.append(Fact(name="Smudge cells", value=f"{smudge:.1f}", note="to 100 counted cells, outside the shares"))
    if adequacy := specimen.get("adequacy"):
        value = "not apparent" if adequacy["adequate"] else "possible"
        made.append(Fact(name="Dilution with blood", value=value, note=adequacy.get("reason") or ""))
    return tuple(made)


def _comparison(
    name: str, slides: Sequence[SeenSlide], specimen: Mapping[str, Any], thresholds: Mapping[str, float], level: float
) -> Comparison:
    shares = [exact(one.cells.counts[name], one.cells.counted, level) for one in slides]
    threshold, colour = thresholds.get(name), css_colour(name)
    axis = axis_for(shares, [threshold])
    return Comparison(
        name=words.title(words.plural(name)),
        specimen=words.the_specimen(specimen["specimen"]),
        colour=colour,
        shares=tuple(
            SlideShare(
                slide=one.name,
                cells=f"{words.count(one.cells.counts[name])} of {words.count(one.cells.counted)}",
                text=f"{words.percent(share.value)} ({words.span(share.low, share.high)})",
                bar=None
                if threshold is None
                else bar(share, axis=axis, threshold=threshold, colour=colour, of=f"{words.plural(name)}, {one.name}"),
            )
            for one, share in zip(slides, shares, strict=True)
        ),
        note=_between(specimen, name, level),
    )


def _between(specimen: Mapping[str, Any], name: str, level: float) -> str:
    """Return whether the slides differ by more than chance, where that was tested."""
    tested = next((one for one in specimen.get("between_slides", ()) if one["cell_class"] == name), None)
    if tested is None or tested.get("p") is None:
        return ""
    differ = tested["p"] < 1 - level
    return (
        f"{'more apart than chance explains' if differ else 'no more apart than chance'} ({words.p_value(tested['p'])})"
    )
