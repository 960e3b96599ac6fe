"""decide(): a patient's counts in, a finding with its reasons out; pure.

The finding is by intervals of the counted shares (worker/counting/), which treat the calls as right. Shares corrected
for the classifier's own errors stand beside them in the evidence (worker/correction.py) where its confusion is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from db.records import Finding, Specimen, SpecimenTally, Tally, Verdict
from worker.counting.adequacy import adequacy
from worker.counting.evidence import evidence
from worker.counting.intervals import counted
from worker.counting.judging import Judged, Side, judge, sentences
from worker.counting.looks import error_of
from worker.counting.more import more_cells
from worker.counting.shares import SHOWN, UNKNOWN, share
from worker.rules import RULES, RuleSet

_SPECIMEN_ORDER = (Specimen.MARROW, Specimen.BLOOD, Specimen.UNKNOWN)


def decide(tally: Tally) -> Verdict:
    """Return what the tally means under its rule set.

    An open, missing or quarantined slide makes the finding `incomplete`, whatever the others show; what the finished
    slides say so far is kept in the evidence. Raises KeyError for a rule name that was never released.
    """
    rule = RULES[tally.rule]
    specimens = sorted(tally.specimens, key=lambda s: _SPECIMEN_ORDER.index(s.specimen))
    judged = [j for s in specimens if _enough(s, rule) for j in judge(s, rule, error_of(s, rule))]
    so_far, reason = _finding(specimens, judged, rule)
    finding = so_far
    if waiting := _waiting(tally):
        finding, reason = Finding.INCOMPLETE, f"{waiting}; so far {so_far}: {reason}"
    main = specimens[0] if specimens else None
    shown = {"finding_so_far": so_far.value, "more_cells": _more(specimens, judged, rule)}
    return Verdict(
        finding=finding,
        reason=reason,
        rule=rule.name,
        cells=counted(main) if main else 0,
        shares={one.value: share(main, one, rule) if main else UNKNOWN for one in SHOWN},
        evidence=evidence(tally, rule, specimens, judged) | shown,
    )


def _enough(tally: SpecimenTally, rule: RuleSet) -> bool:
    return counted(tally) >= rule.min_cells[tally.specimen]


def _finding(specimens: Sequence[SpecimenTally], judged: list[Judged], rule: RuleSet) -> tuple[Finding, str]:
    if not any(_enough(s, rule) for s in specimens):
        return Finding.INSUFFICIENT, _too_few(specimens, rule)
    if not judged:
        return Finding.INDETERMINATE, "the specimen is not stated, and no rule holds for an unknown one"
    above = [j for j in judged if j.side is Side.ABOVE]
    doubtful = _doubtful(specimens, judged, rule)
    if len({j.criterion.disease for j in above}) > 1:
        return Finding.INDETERMINATE, f"more than one threshold is reached: {sentences(above)}"
    if doubtful:
        reached = f"; another is reached: {sentences(above)}" if above else ""
        return Finding.INDETERMINATE, f"{_doubt(specimens)}: {sentences(doubtful)}{reached}{_count_on(doubtful)}"
    if above:
        reason = f"threshold reached: {sentences(above)}; lineage and clonality not established"
        return above[0].criterion.finding, reason + _not_excluded(judged, above)
    return _without_disease(specimens, judged, rule)


def _doubtful(specimens: Sequence[SpecimenTally], judged: Sequence[Judged], rule: RuleSet) -> list[Judged]:
    """Return the criteria that keep the finding open.

    They straddle, and their disease's threshold is not reached by another. Where a disease is shown and most cells were
    called, the rule says whether what abstained cells alone leave open of another keeps the finding open too.
    """
    shown = {j.criterion.disease for j in judged if j.side is Side.ABOVE}
    stands = bool(shown) and rule.reached_stands and not _mostly_abstained(specimens)
    astride = [j for j in judged if j.side is Side.STRADDLES and j.criterion.disease not in shown]
    return [j for j in astride if not (stands and j.open_by_abstained)]


def _not_excluded(judged: Sequence[Judged], above: Sequence[Judged]) -> str:
    """Say which other disease the abstained cells leave open beside the one that is shown."""
    shown = {j.criterion.disease for j in above}
    others = [j for j in judged if j.side is Side.STRADDLES and j.criterion.disease not in shown]
    diseases = " and ".join(sorted({j.criterion.disease for j in others}))
    return f"; {diseases} not excluded, for abstained cells alone: {sentences(others)}" if others else ""


def _count_on(doubtful: Sequence[Judged]) -> str:
    more = more_cells(doubtful)
    return f"; count {more} more cells to settle it, if the shares stay" if more else ""


def _more(specimens: Sequence[SpecimenTally], judged: Sequence[Judged], rule: RuleSet) -> int | None:
    """Return how many more cells of one specimen the finding needs, the most of any; None where none would help."""
    short = [rule.min_cells[s.specimen] - counted(s) for s in specimens if not _enough(s, rule)]
    return max(short, default=None) or more_cells(_doubtful(specimens, judged, rule))


def _doubt(specimens: Sequence[SpecimenTally]) -> str:
    """Return why an interval straddles its threshold, as far as the counts tell."""
    if _mostly_abstained(specimens):
        abstained, cells = _called_or_not(specimens)
        return f"the model would not call {abstained} of {cells} cells, so check that these are stained smears"
    return "the interval straddles a threshold"


def _mostly_abstained(specimens: Sequence[SpecimenTally]) -> bool:
    abstained, cells = _called_or_not(specimens)
    return 2 * abstained > cells


def _called_or_not(specimens: Sequence[SpecimenTally]) -> tuple[int, int]:
    """Return how many cells have no call, and how many are counted."""
    return sum(s.abstained for s in specimens), sum(counted(s) for s in specimens)


def _without_disease(specimens: Sequence[SpecimenTally], judged: list[Judged], rule: RuleSet) -> tuple[Finding, str]:
    """Return the finding when no threshold is near; what was not judged may hold a disease and is never negative."""
    short = [s for s in specimens if not _enough(s, rule)]
    if short:
        return Finding.INSUFFICIENT, _too_few(short, rule)
    if any(s.specimen is Specimen.UNKNOWN for s in specimens):
        return Finding.INDETERMINATE, f"a specimen is not stated; of the others, {sentences(judged)}"
    if diluted := _diluted(specimens, rule):
        return Finding.INDETERMINATE, f"below every threshold, but MM is not excluded by a marrow {diluted}"
    return Finding.NO_EVIDENCE, f"below every threshold: {sentences(judged)}{_not_judged(judged, rule)}"


def _diluted(specimens: Sequence[SpecimenTally], rule: RuleSet) -> str:
    """Say why a marrow cannot exclude a myeloma; '' where it can, or the rule does not ask."""
    if rule.least_marrow_index is None:
        return ""
    marrows = (adequacy(s, rule.least_marrow_index) for s in specimens)
    return "; ".join(one.reason for one in marrows if one and not one.adequate)


def _too_few(specimens: Sequence[SpecimenTally], rule: RuleSet) -> str:
    if not specimens:
        return "no slide has been read to its end"
    return "; ".join(
        f"{counted(s)} cells counted in {s.specimen} specimen, the rule needs {rule.min_cells[s.specimen]}"
        for s in specimens
    )


def _not_judged(judged: list[Judged], rule: RuleSet) -> str:
    missing = {c.disease for c in rule.criteria} - {j.criterion.disease for j in judged}
    return f"; {', '.join(sorted(missing))} not judged: no rule for this specimen" if missing else ""


def _waiting(tally: Tally) -> str:
    parts = [
        f"{n} slide{'s' if n > 1 else ''} {what}"
        for n, what in (
            (tally.slides_open, "waiting, being read or gone from the bucket"),
            (tally.slides_quarantined, "quarantined"),
        )
        if n
    ]
    return " and ".join(parts)
