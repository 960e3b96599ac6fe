"""Why a finding is what it is: everything that a verdict's evidence holds, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from db.counts import Share, SlideTally, SpecimenTally, Stop, Tally
from worker.correction import CORRECTED, NOT_CORRECTED, beside, use_of
from worker.counting.adequacy import adequacy
from worker.counting.differential import lineages, m_e_ratio, smudge_per_100
from worker.counting.dispersion import Spread, between_areas, between_slides
from worker.counting.intervals import counted
from worker.counting.judging import Judged
from worker.counting.looks import error_of
from worker.counting.shares import SHOWN, share, shares
from worker.fuzzy.patients import assess
from worker.rules import RuleSet

BY_THE_CALLS = ("between_areas", "fuzzy")
MEANING = (
    "shares, intervals and the spread between slides are of the cells as persons left them; how evenly a class lies "
    "over the areas of a slide, and what its cells are like, is told of the model's calls"
)
"""Which keys of the evidence take no account of persons' words, and what that means."""
_USUAL_INDEX = 0.20
"""Held against the marrow index where the rule asks for none, for the reader alone."""


def evidence(
    tally: Tally, rule: RuleSet, specimens: Sequence[SpecimenTally], judged: Sequence[Judged]
) -> dict[str, Any]:
    """Return what the finding rests on; `specimens` in the order of their weight, the first the main one."""
    return {
        "rule": {"name": rule.name, "dated": rule.dated.isoformat(), "confidence": rule.confidence},
        "slides": {
            "done": tally.slides_done,
            "open": tally.slides_open,
            "quarantined": tally.slides_quarantined,
        },
        "specimens": [_specimen(one, rule) for one in specimens],
        "criteria": [_criterion(one) for one in judged],
        "lineage": "not established",
        "clonality": "not established",
        "classifier_errors": NOT_CORRECTED if tally.confusion is None else CORRECTED,
        "corrected_shares": [
            one
            for s in specimens
            if tally.confusion is not None
            for one in beside(s, {c: share(s, c, rule) for c in SHOWN}, tally.confusion, rule.confidence)
        ],
        "counting": [_counting(one.slide_id, one.stop) for s in specimens for one in s.slides if one.stop],
        "fuzzy": assess(specimens[0]) if specimens else {},
        **_by_persons(tally, specimens),
        "use": "research use only, not for diagnostic procedures",
    }


def _by_persons(tally: Tally, specimens: Sequence[SpecimenTally]) -> dict[str, Any]:
    """Return what persons' words are worth in the counts, and what is still told by the model's calls."""
    judged = [one for one in specimens if one.judged]
    if not judged:
        return {}
    return {
        "persons": {
            "specimens": [_judged(one, tally) for one in judged],
            "by_the_calls": list(BY_THE_CALLS),
            "meaning": MEANING,
        }
    }


def _judged(tally: SpecimenTally, whole: Tally) -> dict[str, Any]:
    cells = sum(n for given in tally.judged.values() for n in given.values())
    confirmed = sum(given.get(call, 0) for call, given in tally.judged.items())
    return {
        "specimen": tally.specimen.value,
        "cells": cells,
        "changed": cells - confirmed,
        "corrected_shares": None if whole.confusion is None else use_of(tally, whole.confusion).value,
    }


def _specimen(tally: SpecimenTally, rule: RuleSet) -> dict[str, Any]:
    least = _USUAL_INDEX if rule.least_marrow_index is None else rule.least_marrow_index
    marrow = adequacy(tally, least)
    return {
        "specimen": tally.specimen.value,
        "cells": counted(tally),
        "min_cells": rule.min_cells[tally.specimen],
        "abstained": tally.abstained,
        "counts": dict(sorted(tally.counts.items())),
        "slides_done": tally.slides_done,
        "shares": {name.value: _interval(one) for name, one in shares(tally, rule).items()},
        "lineages": lineages(tally),
        "m_e_ratio": m_e_ratio(tally, error_of(tally, rule)),
        "smudge_per_100": smudge_per_100(tally),
        "between_slides": [_spread(one) for one in between_slides(tally)],
        "between_areas": [_spread(one) for one in between_areas(tally)],
        "adequacy": marrow and asdict(marrow),
        "slides": [_slide(one) for one in tally.slides] if len(tally.slides) > 1 else [],
    }


def _interval(one: Share) -> dict[str, float | None]:
    return {"value": one.value, "ci_low": one.ci_low, "ci_high": one.ci_high}


def _spread(one: Spread) -> dict[str, Any]:
    return asdict(one) | {"p": one.p, "dispersion": one.dispersion, "design_effect": one.design_effect}


def _slide(one: SlideTally) -> dict[str, Any]:
    return {
        "slide_id": one.slide_id,
        "cells": counted(one),
        "counts": dict(sorted(one.counts.items())),
        "abstained": one.abstained,
    }


def _counting(slide_id: int, stop: Stop) -> dict[str, Any]:
    """Return by which rule's looks a slide was read, which may be one that the lab had before, and where that ended."""
    return {
        "slide_id": slide_id,
        "rule": stop.rule,
        "look": stop.look,
        "cells": stop.cells,
        "batches_read": stop.n_read,
        "error_share": stop.share,
        "reason": stop.reason,
    }


def _criterion(judged: Judged) -> dict[str, Any]:
    criterion = judged.criterion
    return {
        "disease": criterion.disease,
        "specimen": criterion.specimen.value,
        "cell_class": criterion.cell_class.value,
        "threshold": criterion.threshold,
        "positive": judged.positive,
        "ci_low_none_abstained_positive": judged.ci_low,
        "ci_high_all_abstained_positive": judged.ci_high,
        "design_effect": judged.design_effect,
        "side": judged.side.value,
        "source": criterion.source,
    }
