"""decide(): a patient's counts in, a finding with its reasons out; pure.

The finding is by intervals of the counted shares (worker/counting/), which treat the calls as right. Shares corrected
for the classifier's own errors stand beside them in the evidence (worker/correction.py) where its confusion is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from db.counts import SpecimenTally, Tally, Verdict
from db.records import Finding, Specimen
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
    short = [rule.min_cells[s.specimen] - counted(s) for s in specimens if not _enough(s, rule)]
    more = max(short, default=None) if so_far is Finding.INSUFFICIENT else _to_settle(judged, rule)
    shown = {"finding_so_far": so_far.value, "more_cells": more}
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
    above = _shown(judged, rule)
    doubtful = _doubtful(judged, rule)
    if len({j.criterion.disease for j in above}) > 1:
        return Finding.INDETERMINATE, f"more than one threshold is reached: {sentences(above)}"
    if doubtful:
        reached = f"; another is reached: {sentences(above)}" if above else ""
        more = _to_settle(judged, rule)
        count_on = f"; count {more} more cells to settle it, if the shares stay" if more else ""
        return Finding.INDETERMINATE, f"{_doubt(doubtful)}: {sentences(doubtful)}{reached}{count_on}"
    if above:
        reason = f"threshold reached: {sentences(above)}; lineage and clonality not established"
        return above[0].criterion.finding, reason + _not_excluded(judged, above)
    return _without_disease(specimens, judged, rule)


def _shown(judged: Sequence[Judged], rule: RuleSet) -> list[Judged]:
    """Return the criteria that show their disease.

    Where a threshold that is reached stands, most cells of its specimen have to be called: what the model hardly calls
    at all is perhaps no stained smear, and then the few calls say nothing.
    """
    above = [j for j in judged if j.side is Side.ABOVE]
    return [j for j in above if not (rule.reached_stands and j.mostly_abstained)]


def _doubtful(judged: Sequence[Judged], rule: RuleSet) -> list[Judged]:
    """Return the criteria that keep the finding open.

    They are not below, and another does not show their disease. Where a disease is shown and most cells were called,
    the rule says whether what abstained cells alone leave open of another keeps the finding open too.
    """
    shown = {j.criterion.disease for j in _shown(judged, rule)}
    stands = bool(shown) and rule.reached_stands
    not_below = [j for j in judged if j.side is not Side.BELOW and j.criterion.disease not in shown]
    return [j for j in not_below if not (stands and j.open_by_abstained and not j.mostly_abstained)]


def _not_excluded(judged: Sequence[Judged], above: Sequence[Judged]) -> str:
    """Say which other disease the abstained cells leave open beside the one that is shown."""
    shown = {j.criterion.disease for j in above}
    others = [j for j in judged if j.side is Side.STRADDLES and j.criterion.disease not in shown]
    diseases = " and ".join(sorted({j.criterion.disease for j in others}))
    return f"; {diseases} not excluded, for abstained cells alone: {sentences(others)}" if others else ""


def _to_settle(judged: Sequence[Judged], rule: RuleSet) -> int | None:
    """Return how many more cells would clear what keeps the finding open; None where no number would."""
    called_suffice = rule.reached_stands and bool(_shown(judged, rule))
    return more_cells(_doubtful(judged, rule), called_suffice=called_suffice)


def _doubt(doubtful: Sequence[Judged]) -> str:
    """Return why the finding is open, as far as the counts tell."""
    hardly_called = next((j for j in doubtful if j.mostly_abstained), None)
    if hardly_called is None:
        return "the interval straddles a threshold"
    abstained, cells = hardly_called.abstained, hardly_called.cells
    return f"the model would not call {abstained} of {cells} cells, so check that these are stained smears"


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
        f"{counted(s)} cells counted in {_smeared(s.specimen)}, the rule needs {rule.min_cells[s.specimen]}"
        for s in specimens
    )


def _smeared(specimen: Specimen) -> str:
    return "a specimen that is not stated" if specimen is Specimen.UNKNOWN else f"{specimen} specimen"


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
