"""What a finding rests on: the rule's criteria one by one, the figures looked for first, the slides that are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from db.cases import Case
from worker.outputs.report import words
from worker.outputs.report.content import Criterion, Fact, Interval, Open
from worker.outputs.report.pictures import css_colour
from worker.outputs.report.shares import axis_for, bar, judged
from worker.outputs.report.stops import stopped_early

_NAMED = "shares and finding follow the person there, not the model"
_ABSTAINED = (
    "A cell is not called (the rule says: abstained) where the model is in doubt, or the cell is like none that it "
    "knows. It counts among all cells and for no class; the intervals that decide hold whatever it is."
)
_VERDICTS = {"above": "reached", "straddles": "undecided", "below": "not reached"}
"""What is said of a threshold, by the side on which the interval lies; in the order in which they are told."""


def criteria(case: Case) -> tuple[Criterion, ...]:
    """Return what the rule judged, what is reached first, with a common axis for all bars."""
    by_specimen = {one["specimen"]: one for one in case.evidence.get("specimens", ())}
    held = [one for one in case.evidence.get("criteria", ()) if one["specimen"] in by_specimen]
    stored = sorted(held, key=lambda one: list(_VERDICTS).index(one["side"]))
    shares = [judged(one, by_specimen[one["specimen"]]) for one in stored]
    axis = axis_for(shares, [one["threshold"] for one in stored])
    return tuple(
        _criterion(case, one, by_specimen[one["specimen"]], share, axis)
        for one, share in zip(stored, shares, strict=True)
    )


def deciding(case: Case) -> tuple[str, ...]:
    """Return the classes that the rule judges, or those whose shares are reported where it judged none."""
    classes = [one["cell_class"] for one in case.evidence.get("criteria", ())]
    return tuple(dict.fromkeys(classes or case.report.shares))


def reading(case: Case) -> str:
    """Return for which disease each class is counted, and what it means that a model abstains, where either is told."""
    wanted = dict.fromkeys((one["cell_class"], one["disease"]) for one in case.evidence.get("criteria", ()))
    positive = " and ".join(f"{words.plural(name)} for {disease}" for name, disease in wanted)
    sentences = [f"The cells that are looked for: {positive}."] if positive else []
    return " ".join([*sentences, _ABSTAINED] if _abstained(case) else sentences)


def key_facts(case: Case, found: Sequence[Criterion], named: int) -> tuple[Fact, ...]:
    """Return the figures that are looked for first; `named` is how many cells a person has named.

    A share that the rule judges has the interval that it was judged by, as everywhere on the page.
    """
    report = case.report
    slides = report.slides_done + report.slides_open + report.slides_quarantined
    main = next(iter(case.evidence.get("specimens", ())), None)
    held = {one.name: one.interval for one in found if main and one.specimen == words.specimen(main["specimen"])}
    shares = [
        Fact(
            name=words.title(words.plural(name)),
            value=words.percent(share.value),
            note=held.get(words.plural(name), words.span(share.ci_low, share.ci_high)) + _against(share.threshold),
        )
        for name, share in report.shares.items()
        if share.value is not None
    ]
    return (
        *shares,
        Fact(name="Cells counted", value=words.count(report.cells), note=_of_count(case)),
        *([Fact(name="Named by a person", value=words.number_of(named, "cell"), note=_NAMED)] if named else []),
        Fact(name="Slides read", value=f"{report.slides_done} of {slides}", note=open_words(case)),
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


def open_words(case: Case) -> str:
    """Return how many slides the finding waits for, and why; empty where it waits for none."""
    report = case.report
    parts = [
        f"{words.number_of(report.slides_open, 'slide')} still to be read" if report.slides_open else "",
        f"{words.number_of(report.slides_quarantined, 'slide')} in quarantine" if report.slides_quarantined else "",
    ]
    return " and ".join(filter(None, parts))


def _criterion(
    case: Case, stored: Mapping[str, Any], specimen: Mapping[str, Any], share: Interval, axis: float
) -> Criterion:
    name = words.plural(stored["cell_class"])
    return Criterion(
        name=name,
        disease=stored["disease"],
        specimen=words.specimen(stored["specimen"]),
        counted=f"{words.count(stored['positive'])} of {words.count(specimen['cells'])}",
        share=words.percent(share.value),
        interval=words.span(share.low, share.high),
        threshold=words.threshold(stored["threshold"]),
        side=stored["side"],
        verdict=_VERDICTS[stored["side"]],
        chance=_chance(case, stored, specimen),
        spread=_spread(stored),
        source=stored["source"],
        bar=bar(
            share, axis=axis, threshold=stored["threshold"], colour=css_colour(stored["cell_class"]), of=name
        ),
    )  # fmt: skip


def _chance(case: Case, stored: Mapping[str, Any], specimen: Mapping[str, Any]) -> str:
    """Return how likely the true share reaches the threshold; the verdict holds it of its main specimen alone."""
    share = case.report.shares.get(stored["cell_class"])
    main = case.evidence["specimens"][0]["specimen"]
    if share is None or share.p_above is None or share.threshold != stored["threshold"] or main != stored["specimen"]:
        return ""
    given = ", without cells not called" if specimen["abstained"] else ""
    return f"Probability that the true share reaches it{given}: {words.chance(share.p_above)}"


def _spread(stored: Mapping[str, Any]) -> str:
    effect = stored.get("design_effect", 1.0)
    return (
        f"Unevenly spread: {effect:.1f} cells tell as much as one, which makes the interval wider."
        if effect > 1
        else ""
    )


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
