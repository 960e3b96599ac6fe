"""The head of a report: the finding and its reason in plain words, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from db.cases import Case
from db.records import Finding, Specimen
from worker.outputs.report import words
from worker.outputs.report.content import Criterion
from worker.outputs.report.finding import open_words
from worker.outputs.withdrawal import withdrawal_words

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
_ALL_WITHDRAWN = "Insufficient: every slide was withdrawn"
_TAKE_BACK = "Add smears, or have a withdrawal taken back: `marrowline retry SLIDE`."
_MOST_NAMED = 5
_STATE_IT = (
    "The rule judges marrow and blood: have the laboratory state which of them was smeared, in the file beside the "
    "slide or as the laboratory's default."
)
_SEVERAL = "More than one threshold is reached, and the shares alone do not tell which disease it is."
_LIES = {"above": "lies above", "below": "lies below", "straddles": "includes"}
_SHOWN: Mapping[Finding, str] = {Finding.CONSISTENT_WITH_ALL: "ALL", Finding.CONSISTENT_WITH_MM: "MM"}


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
        headline=_ALL_WITHDRAWN if case.all_withdrawn else _HEADLINES.get(finding) or _nothing_found(found),
        plain=(
            *_first_words(case, finding),
            *(_sentence(one) for one in found),
            *_not_excluded(finding, found),
            *_withdrawn(case),
        ),
        next_step=" ".join(filter(None, [_more_cells(case), _next(case, finding)])),
    )


def _sentence(one: Criterion) -> str:
    lies = _LIES[one.side]
    return (
        f"{words.title(one.name)} are {one.share} of the cells counted in {one.specimen} ({one.counted}). Their "
        f"interval, {one.interval}, {lies} the threshold of {one.threshold} for {one.disease}."
    )


def _first_words(case: Case, finding: Finding) -> list[str]:
    """Return what has to be said before the criteria, of findings that do not follow from them alone."""
    if finding is Finding.INCOMPLETE:
        so_far = str(case.evidence.get("finding_so_far", "")).replace("_", " ")
        return [f"{open_words(case)}.{f' The slides read so far say: {so_far}.' if so_far else ''}"]
    if finding is Finding.INDETERMINATE:
        return _why_not_decided(case)
    return [f"{words.title(case.report.reason)}."] if finding is Finding.INSUFFICIENT else []


def _withdrawn(case: Case) -> list[str]:
    """Return which slides were withdrawn and why."""
    if not case.withdrawn:
        return []
    named = [f"{PurePosixPath(one.obj.key).name} ({one.reason})" for one in case.withdrawn[:_MOST_NAMED]]
    more = len(case.withdrawn) - len(named)
    return [f"{withdrawal_words(case)}: {', '.join(named)}{f', and {more:,} more' if more else ''}."]


def _why_not_decided(case: Case) -> list[str]:
    """Return what keeps the counts from deciding, where it is not an interval alone: the criteria tell that."""
    for one in case.evidence.get("specimens", ()):
        if 2 * one["abstained"] > one["cells"]:
            hardly = f"The model would not call {one['abstained']:,} of {one['cells']:,} cells"
            return [f"{hardly} in {words.specimen(one['specimen'])}: check that these are stained smears."]
    judged = case.evidence.get("criteria", ())
    if len({one["disease"] for one in judged if one["side"] == "above"}) > 1:
        return [_SEVERAL]
    astride = any(one["side"] == "straddles" for one in judged)
    return [] if astride else [f"{words.title(case.report.reason)}."]


def _not_excluded(finding: Finding, found: Sequence[Criterion]) -> list[str]:
    """Return which disease the cells without a call leave open beside the one that is shown."""
    shown = _SHOWN.get(finding)
    return [
        f"{one.disease} is not excluded: cells that were not called could be {one.name}."
        for one in found
        if shown and one.side == "straddles" and one.disease != shown
    ]


def _nothing_found(found: Sequence[Criterion]) -> str:
    return f"No evidence of {' or '.join(sorted({one.disease for one in found})) or 'disease'} in the counted cells"


def _next(case: Case, finding: Finding) -> str:
    if case.all_withdrawn:
        return _TAKE_BACK
    unstated = any(one["specimen"] == Specimen.UNKNOWN for one in case.evidence.get("specimens", ()))
    return _STATE_IT if unstated and finding is Finding.INDETERMINATE else _NEXT[finding]


def _more_cells(case: Case) -> str:
    more = case.evidence.get("more_cells")
    return f"Count about {words.count(more)} more cells." if more else ""
