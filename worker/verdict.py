"""decide(): a patient's counts in, a finding with its reasons out; pure.

Intervals are exact binomial ones (Clopper and Pearson, Biometrika 1934;26:404). The probability that a true share
reaches its threshold is the Jeffreys posterior's (Brown, Cai and DasGupta, Stat Sci 2001;16:101). Both treat the
called cells as a random sample and the calls as right. Shares corrected for the classifier's own errors stand beside
them in the evidence (worker/correction.py) where the model's confusion is known; the finding is by the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.special import betainc

from db.records import (
    CellClass,
    Finding,
    Share,
    Specimen,
    SpecimenTally,
    Tally,
    Verdict,
)
from worker.correction import CORRECTED, NOT_CORRECTED, beside
from worker.counting.intervals import clopper_pearson, counted
from worker.counting.judging import Judged, Side, judge, sentences
from worker.rules import RULES, RuleSet

_SHOWN = (CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL)
_SPECIMEN_ORDER = (Specimen.MARROW, Specimen.BLOOD, Specimen.UNKNOWN)


def decide(tally: Tally) -> Verdict:
    """Return what the tally means under its rule set.

    An open, missing or quarantined slide makes the finding `incomplete`, whatever the others show; what the finished
    slides say so far is kept in the evidence. Raises KeyError for a rule name that was never released.
    """
    rule = RULES[tally.rule]
    specimens = sorted(tally.specimens, key=lambda s: _SPECIMEN_ORDER.index(s.specimen))
    judged = [j for s in specimens if _enough(s, rule) for j in judge(s, rule, rule.error)]
    so_far, reason = _finding(specimens, judged, rule)
    finding = so_far
    if waiting := _waiting(tally):
        finding, reason = Finding.INCOMPLETE, f"{waiting}; so far {so_far}: {reason}"
    main = specimens[0] if specimens else None
    return Verdict(
        finding=finding,
        reason=reason,
        rule=rule.name,
        cells=counted(main) if main else 0,
        shares={c.value: _share(main, c, rule) for c in _SHOWN},
        evidence=_evidence(tally, rule, specimens, judged, so_far),
    )


def _enough(tally: SpecimenTally, rule: RuleSet) -> bool:
    return counted(tally) >= rule.min_cells[tally.specimen]


def _finding(specimens: Sequence[SpecimenTally], judged: list[Judged], rule: RuleSet) -> tuple[Finding, str]:
    if not any(_enough(s, rule) for s in specimens):
        return Finding.INSUFFICIENT, _too_few(specimens, rule)
    if not judged:
        return Finding.INDETERMINATE, "the specimen is not stated, and no rule holds for an unknown one"
    above = [j for j in judged if j.side is Side.ABOVE]
    diseases = {j.criterion.disease for j in above}
    doubtful = [j for j in judged if j.side is Side.STRADDLES and j.criterion.disease not in diseases]
    if len(diseases) > 1:
        return Finding.INDETERMINATE, f"more than one threshold is reached: {sentences(above)}"
    if doubtful:
        reached = f"; another is reached: {sentences(above)}" if above else ""
        return Finding.INDETERMINATE, f"{_doubt(specimens)}: {sentences(doubtful)}{reached}"
    if above:
        reason = f"threshold reached: {sentences(above)}; lineage and clonality not established"
        return above[0].criterion.finding, reason
    return _without_disease(specimens, judged, rule)


def _doubt(specimens: Sequence[SpecimenTally]) -> str:
    """Return why an interval straddles its threshold, as far as the counts tell."""
    abstained, cells = sum(s.abstained for s in specimens), sum(counted(s) for s in specimens)
    if 2 * abstained > cells:
        return f"the model would not call {abstained} of {cells} cells, so check that these are stained smears"
    return "the interval straddles a threshold"


def _without_disease(specimens: Sequence[SpecimenTally], judged: list[Judged], rule: RuleSet) -> tuple[Finding, str]:
    """Return the finding when no threshold is near; what was not judged may hold a disease and is never negative."""
    short = [s for s in specimens if not _enough(s, rule)]
    if short:
        return Finding.INSUFFICIENT, _too_few(short, rule)
    if any(s.specimen is Specimen.UNKNOWN for s in specimens):
        return Finding.INDETERMINATE, f"a specimen is not stated; of the others, {sentences(judged)}"
    return Finding.NO_EVIDENCE, f"below every threshold: {sentences(judged)}{_not_judged(judged, rule)}"


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


def _share(tally: SpecimenTally | None, cell_class: CellClass, rule: RuleSet) -> Share:
    if tally is None or counted(tally) == 0:
        return Share(value=None, ci_low=0.0, ci_high=1.0, threshold=None, p_above=None)
    cells, positive = counted(tally), tally.counts.get(cell_class, 0)
    low, high = clopper_pearson(positive, cells, rule.confidence)
    threshold = next((c.threshold for c in rule.criteria_for(tally.specimen) if c.cell_class is cell_class), None)
    above = None
    if threshold is not None:
        above = 1.0 - float(betainc(positive + 0.5, cells - positive + 0.5, threshold))
    return Share(value=positive / cells, ci_low=low, ci_high=high, threshold=threshold, p_above=above)


def _evidence(
    tally: Tally,
    rule: RuleSet,
    specimens: Sequence[SpecimenTally],
    judged: list[Judged],
    so_far: Finding,
) -> dict[str, Any]:
    return {
        "rule": {"name": rule.name, "dated": rule.dated.isoformat(), "confidence": rule.confidence},
        "finding_so_far": so_far.value,
        "slides": {
            "done": tally.slides_done,
            "open": tally.slides_open,
            "quarantined": tally.slides_quarantined,
        },
        "specimens": [
            {
                "specimen": s.specimen.value,
                "cells": counted(s),
                "min_cells": rule.min_cells[s.specimen],
                "abstained": s.abstained,
                "counts": dict(sorted(s.counts.items())),
                "slides_done": s.slides_done,
            }
            for s in specimens
        ],
        "criteria": [
            {
                "disease": j.criterion.disease,
                "specimen": j.criterion.specimen.value,
                "cell_class": j.criterion.cell_class.value,
                "threshold": j.criterion.threshold,
                "positive": j.positive,
                "ci_low_none_abstained_positive": j.ci_low,
                "ci_high_all_abstained_positive": j.ci_high,
                "side": j.side.value,
                "source": j.criterion.source,
            }
            for j in judged
        ],
        "lineage": "not established",
        "clonality": "not established",
        "classifier_errors": NOT_CORRECTED if tally.confusion is None else CORRECTED,
        "corrected_shares": [
            one
            for s in specimens
            if tally.confusion is not None
            for one in beside(s, {c: _share(s, c, rule) for c in _SHOWN}, tally.confusion, rule.confidence)
        ],
        "use": "research use only, not for diagnostic procedures",
    }
