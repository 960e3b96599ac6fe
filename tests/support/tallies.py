"""What verdicts rest on, made by hand: slides into specimens, specimens into a patient's tally."""

from __future__ import annotations

from db.counts import SlideTally, SpecimenTally, Tally
from db.records import Specimen
from worker.rules import DEFAULT_RULE


def marrow_of(*slides: SlideTally) -> SpecimenTally:
    """Return slides of marrow and their sums."""
    names = {name for one in slides for name in one.counts}
    return SpecimenTally(
        specimen=Specimen.MARROW,
        counts={name: sum(one.counts.get(name, 0) for one in slides) for name in names},
        abstained=sum(one.abstained for one in slides),
        slides_done=len(slides),
        slides=slides,
    )


def tally_of(
    *specimens: SpecimenTally,
    rule: str = DEFAULT_RULE,
    model_version: str = "m",
    slides_open: int = 0,
    slides_quarantined: int = 0,
) -> Tally:
    """Return what is known of a patient with these specimens."""
    return Tally(
        model_version=model_version,
        rule=rule,
        specimens=specimens,
        slides_done=sum(one.slides_done for one in specimens),
        slides_open=slides_open,
        slides_quarantined=slides_quarantined,
    )
