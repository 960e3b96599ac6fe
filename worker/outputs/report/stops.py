"""Where the counting of each slide ended, and why, where a rule let it end before the slide did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.cases import Case, CaseSlide
from worker.outputs.report import words
from worker.outputs.report.content import Fact

_LEAD = (
    "The rule looked at the counts on the way, and let a slide end where more of its cells would not change the "
    "finding. The intervals of this report are as wide as these looks ask. Parts that were not read show no cells."
)


def stops(case: Case, names: Mapping[int, str]) -> tuple[Fact, ...]:
    """Return where the counting of each slide ended and why; `names` are those of the slides, by their numbers.

    Nothing of slides that were read by a rule without looks: these are read whole.
    """
    slides = {one.slide_id: one for one in case.read}
    return tuple(
        Fact(name=names[one["slide_id"]], value=_value(one), note=_note(case, slides[one["slide_id"]], one))
        for one in case.evidence.get("counting", ())
        if one["slide_id"] in names
    )


def stopped_early(case: Case) -> int:
    """Return how many slides were not read to their ends."""
    return sum(one["look"] is not None for one in case.evidence.get("counting", ()))


def lead(case: Case) -> str:
    """Return what is to be known before the slides; empty where no rule took looks."""
    return _LEAD if case.evidence.get("counting") else ""


def _value(stop: Mapping[str, Any]) -> str:
    ended = "read to its end:" if stop["look"] is None else "stopped at"
    return f"{ended} {words.number_of(stop['cells'], 'counted cell')}"


def _note(case: Case, slide: CaseSlide, stop: Mapping[str, Any]) -> str:
    ruled = "" if stop["rule"] == case.report.rule else f", by the looks of {stop['rule']}, which held then"
    if stop["look"] is None:
        return f"No look was clear of every threshold{ruled}."
    parts = f" of {words.count(slide.n_batches)}" if slide.n_batches else ""
    return (
        f"After {words.count(stop['batches_read'])}{parts} parts, taken in a random order: at the look at "
        f"{words.number_of(stop['look'], 'cell')} every interval was clear of its threshold{ruled}. "
        f"{words.title(_counts(stop['reason']))}"
    )


def _counts(reason: str) -> str:
    """Return the counts that a stored reason gives after its first words, as a sentence; '' where it gives none."""
    _, _, counts = reason.partition(": ")
    return f"{counts.rstrip('.')}." if counts else ""
