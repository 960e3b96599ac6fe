"""The finding and its reason: in plain words first, then by the rule's criteria one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from db.cases import Case
from db.records import Finding, Specimen
from worker.outputs.report import words
from worker.outputs.report.content import Criterion, Fact, Interval, Open
from worker.outputs.report.pictures import css_colour
from worker.outputs.report.shares import axis_for, bar
from worker.outputs.report.stops import stopped_early

_TONES: Mapping[Finding, str] = {
    Finding.CONSISTENT_WITH_ALL: "disease",
    Finding.CONSISTENT_WITH_MM: "disease",
    Finding.NO_EVIDENCE: "clear",
    Finding.INDETERMINATE: "doubt",
    Finding.INSUFFICIENT: "open",
    Finding.INCOMPLETE: "open",
}
_HEADLINES: Mapping[Finding, str] = {
    Finding.CONSISTENT_WITH_ALL: "Consistent with acute lymphoblastic leukaemia (ALL)",
    Finding.CONSISTENT_WITH_MM: "Consistent with multiple myeloma (MM)",
    Finding.INDETERMINATE: "Indeterminate: the count does not decide",
    Finding.INSUFFICIENT: "Insufficient: too few cells to judge",
    Finding.INCOMPLETE: "Incomplete: not every slide has been read",
}
_NEXT: Mapping[Finding, str] = {
    Finding.CONSISTENT_WITH_ALL: "Morphology establishes neither lineage nor clonality: immunophenotyping and "
    "genetics have to, before anything is concluded.",
    Finding.CONSISTENT_WITH_MM: "Morphology does not establish that these plasma cells are clonal, and the CRAB and "
    "SLiM criteria are not judged here: a raised share alone can also be reactive.",
    Finding.NO_EVIDENCE: "This does not exclude either disease: patchy infiltration, a sample diluted with blood and "
    "small clones can all stay below a threshold.",
    Finding.INDETERMINATE: "Look at the cells below, and add smears of the same specimen where there are any.",
    Finding.INSUFFICIENT: "Add smears of the same specimen, or scan a larger part of these.",
    Finding.INCOMPLETE: "The finding follows by itself when each slide below has been read or withdrawn.",
}
_STATE_IT = (
    "The rule judges marrow and blood: have the laboratory state which of them was smeared, in the file beside the "
    "slide or as the laboratory's default."
)
_NAMED = "shares and finding follow the person there, not the model"
_ABSTAINED = (
    "A cell is not called (the rule says: abstained) where the model is in doubt, or the cell is like none that it "
    "knows. It counts among all cells and for no class; the intervals that decide hold whatever it is."
)
_SIDES = {
    "above": ("lies above", "reached"),
    "below": ("lies below", "not reached"),
    "straddles": ("holds", "undecided"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What stands at the head of a report."""

    tone: str
    headline: str
    plain: tuple[str, ...]
    next_step: str


def told(case: Case, found: Sequence[Criterion]) -> Told:
    """Return the finding in plain words; `found` are its criteria."""
    finding = Finding(case.report.finding)
    return Told(
        tone=_TONES[finding],
        headline=_HEADLINES.get(finding) or _nothing_found(found),
        plain=(*_first_words(case, finding), *(_sentence(one) for one in found)),
        next_step=" ".join(filter(None, [_more_cells(case), _next(case, finding)])),
    )


def criteria(case: Case) -> tuple[Criterion, ...]:
    """Return what the rule judged, with a common axis for all bars."""
    by_specimen = {one["specimen"]: one for one in case.evidence.get("specimens", ())}
    stored = [one for one in case.evidence.get("criteria", ()) if one["specimen"] in by_specimen]
    shares = [_share(one, by_specimen[one["specimen"]]) for one in stored]
    axis = axis_for(shares, [one["threshold"] for one in stored])
    return tuple(
        _criterion(case, one, by_specimen[one["specimen"]], share, axis)
        for one, share in zip(stored, shares, strict=True)
    )


def deciding(case: Case) -> tuple[str, ...]:
    """Return the classes that the rule judges, or those whose shares are reported where it judged none."""
    judged = [one["cell_class"] for one in case.evidence.get("criteria", ())]
    return tuple(dict.fromkeys(judged or case.report.shares))


def reading(case: Case) -> str:
    """Return for which disease each class is counted, and what it means that a model abstains, where either is told."""
    judged = dict.fromkeys((one["cell_class"], one["disease"]) for one in case.evidence.get("criteria", ()))
    positive = " and ".join(f"{words.plural(name)} for {disease}" for name, disease in judged)
    sentences = [f"The cells that are looked for: {positive}."] if positive else []
    return " ".join([*sentences, _ABSTAINED] if _abstained(case) else sentences)


def key_facts(case: Case, found: Sequence[Criterion], named: int) -> tuple[Fact, ...]:
    """Return the figures that are looked for first; `named` is how many cells a person has named.

    A share that the rule judges has the interval that it was judged by, as everywhere on the page.
    """
    report = case.report
    slides = report.slides_done + report.slides_open + report.slides_quarantined
    main = next(iter(case.evidence.get("specimens", ())), None)
    judged = {one.name: one.interval for one in found if main and one.specimen == words.specimen(main["specimen"])}
    shares = [
        Fact(
            name=words.title(words.plural(name)),
            value=words.percent(share.value),
            note=judged.get(words.plural(name), words.span(share.ci_low, share.ci_high)) + _against(share.threshold),
        )
        for name, share in report.shares.items()
        if share.value is not None
    ]
    return (
        *shares,
        Fact(name="Cells counted", value=words.count(report.cells), note=_of_count(case)),
        *([Fact(name="Named by a person", value=words.number_of(named, "cell"), note=_NAMED)] if named else []),
        Fact(name="Slides read", value=f"{report.slides_done} of {slides}", note=_open_words(case)),
    )


def open_slides(case: Case) -> tuple[Open, ...]:
    """Return the slides that the finding waits for, with what to do about each."""
    return tuple(
        Open(
            name=PurePosixPath(one.obj.key).name,
            state=one.state,
            reason=one.reason or "it is waiting for a worker, or being read",
            remedy=one.remedy or "",
        )
        for one in case.slides
        if one.state not in ("done", "cancelled")
    )


def _criterion(
    case: Case, stored: Mapping[str, Any], specimen: Mapping[str, Any], share: Interval, axis: float
) -> Criterion:
    name = words.plural(stored["cell_class"])
    above = case.report.shares.get(stored["cell_class"])
    known = above is not None and above.p_above is not None and above.threshold == stored["threshold"]
    return Criterion(
        name=name,
        disease=stored["disease"],
        specimen=words.specimen(stored["specimen"]),
        counted=f"{words.count(stored['positive'])} of {words.count(specimen['cells'])}",
        share=words.percent(share.value),
        interval=words.span(share.low, share.high),
        threshold=words.threshold(stored["threshold"]),
        side=stored["side"],
        verdict=_SIDES[stored["side"]][1],
        chance=words.chance(above.p_above) if known and above is not None and above.p_above is not None else "",
        spread=_spread(stored),
        source=stored["source"],
        bar=bar(
            share, axis=axis, threshold=stored["threshold"], colour=css_colour(stored["cell_class"]), of=name
        ),
    )  # fmt: skip


def _spread(stored: Mapping[str, Any]) -> str:
    effect = stored.get("design_effect", 1.0)
    return (
        f"Unevenly spread: {effect:.1f} cells tell as much as one, and the interval is as wide." if effect > 1 else ""
    )


def _share(stored: Mapping[str, Any], specimen: Mapping[str, Any]) -> Interval:
    low, high = stored["ci_low_none_abstained_positive"], stored["ci_high_all_abstained_positive"]
    return Interval(value=stored["positive"] / max(1, specimen["cells"]), low=low, high=high)


def _sentence(one: Criterion) -> str:
    lies, _ = _SIDES[one.side]
    return (
        f"{words.title(one.name)} are {one.share} of the cells counted in {one.specimen} ({one.counted}). Their "
        f"interval, {one.interval}, {lies} the threshold of {one.threshold} for {one.disease}."
    )


def _first_words(case: Case, finding: Finding) -> list[str]:
    """Return what has to be said before the criteria, of findings that do not follow from them alone."""
    if finding is Finding.INCOMPLETE:
        so_far = str(case.evidence.get("finding_so_far", "")).replace("_", " ")
        return [f"{_open_words(case)}.{f' The slides read so far say: {so_far}.' if so_far else ''}"]
    if finding is Finding.INDETERMINATE:
        return _why_not_decided(case)
    return [f"{words.title(case.report.reason)}."] if finding is Finding.INSUFFICIENT else []


def _why_not_decided(case: Case) -> list[str]:
    """Return what keeps the counts from deciding, where it is not an interval alone: the criteria tell that."""
    held = case.evidence.get("specimens", ())
    abstained, cells = sum(one["abstained"] for one in held), sum(one["cells"] for one in held)
    if 2 * abstained > cells:
        return [f"The model would not call {abstained:,} of {cells:,} cells: check that these are stained smears."]
    astride = any(one["side"] == "straddles" for one in case.evidence.get("criteria", ()))
    return [] if astride else [f"{words.title(case.report.reason)}."]


def _nothing_found(found: Sequence[Criterion]) -> str:
    return f"No evidence of {' or '.join(sorted({one.disease for one in found})) or 'disease'} in the counted cells"


def _next(case: Case, finding: Finding) -> str:
    unstated = any(one["specimen"] == Specimen.UNKNOWN for one in case.evidence.get("specimens", ()))
    return _STATE_IT if unstated and finding is Finding.INDETERMINATE else _NEXT[finding]


def _more_cells(case: Case) -> str:
    more = case.evidence.get("more_cells")
    return f"Count about {words.count(more)} more cells." if more else ""


def _open_words(case: Case) -> str:
    report = case.report
    parts = [
        f"{words.number_of(report.slides_open, 'slide')} still to be read" if report.slides_open else "",
        f"{words.number_of(report.slides_quarantined, 'slide')} in quarantine" if report.slides_quarantined else "",
    ]
    return " and ".join(filter(None, parts))


def _of_count(case: Case) -> str:
    main = next(iter(case.evidence.get("specimens", ())), None)
    early = stopped_early(case)
    parts = (
        f"{words.number_of(main['abstained'], 'cell')} not called" if main and main["abstained"] else "",
        f"{words.number_of(early, 'slide')} stopped early" if early else "",
    )
    return ", ".join(filter(None, parts))


def _abstained(case: Case) -> bool:
    return any(one["abstained"] for one in case.evidence.get("specimens", ()))


def _against(threshold: float | None) -> str:
    return f", threshold {words.threshold(threshold)}" if threshold is not None else ""
