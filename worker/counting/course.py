"""Follows the reading of one run batch by batch, and tells where it may stop.

Batches count in the order of the plan, in whatever order they become known: a batch waits until all before it are
there. So the looks are the same ones, and the stop is the same, for a worker that reads everything itself and for one
that takes over what others wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from db.counts import BatchCount, SlideTally, SpecimenTally, Stop
from db.records import NOT_COUNTED, Batch, CellClass, Specimen
from worker.counting.dispersion import measured_over
from worker.counting.intervals import counted
from worker.counting.looks import due, looks_for, share_at_end, stop
from worker.errors import UnknownRuleError
from worker.rules import RULES, RuleSet


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far one run has been read."""

    rule: RuleSet
    seen: SpecimenTally  # the counts of the batches before n_read
    read: tuple[BatchCount, ...] = ()  # those batches
    waiting: Mapping[int, BatchCount] = field(default_factory=dict)  # known, but not yet all before them
    stop: Stop | None = None

    @property
    def n_read(self) -> int:
        """How many batches are known from the plan's first on."""
        return len(self.read)

    def after(self, batch: BatchCount) -> Course:
        """Return the course when one more batch is known; once stopped, it does not change any more."""
        course = replace(self, waiting={**self.waiting, batch.no: batch})
        while course.stop is None and course.n_read in course.waiting:
            course = course._one_on()
        return course

    def end(self) -> Stop:
        """Return where it stopped, or else what is to be said of a run whose plan is carried out whole."""
        if self.stop is not None:
            return self.stop
        cells = counted(self.seen)
        return Stop(
            n_read=self.n_read,
            rule=self.rule.name,
            look=None,
            cells=cells,
            share=share_at_end(self.rule, self.seen.specimen, cells),
            reason="read to its end: no look was clear of every threshold",
        )

    def _one_on(self) -> Course:
        batch = self.waiting[self.n_read]
        called = Counter(self.seen.counts) + Counter(batch.called)
        seen = replace(self.seen, counts=called, abstained=self.seen.abstained + batch.abstained)
        read = (*self.read, batch)
        return replace(
            self,
            seen=seen,
            read=read,
            waiting={no: one for no, one in self.waiting.items() if no >= len(read)},
            stop=_stop(self.rule, self.seen, seen, read),
        )


def counting_for(rule_name: str, specimen: Specimen) -> dict[str, Any] | None:
    """Return what a plan has to say of its looks; None where the rule takes none in this specimen: all is read.

    Raises UnknownRuleError for a rule set that this version does not have.
    """
    if rule_name not in RULES:
        raise UnknownRuleError(
            f"the lab's rule set {rule_name!r} is none of this worker's: install the same package version on "
            "scheduler and worker"
        )
    looks = looks_for(RULES[rule_name], specimen)
    return {"rule": rule_name, "specimen": specimen.value, "looks": list(looks)} if looks else None


def course_of(document: Mapping[str, Any]) -> Course | None:
    """Return the beginning of the course that a plan's document asks for; None where all of it is read."""
    asked = document.get("counting")
    if asked is None:
        return None
    nothing = SpecimenTally(specimen=Specimen(asked["specimen"]), counts={}, abstained=0, slides_done=0)
    return Course(rule=RULES[asked["rule"]], seen=nothing)


def count(batch: Batch) -> BatchCount:
    """Return a batch's cells as a rule counts them."""
    within = [cell for cell in batch.cells if CellClass(cell.cell_class) not in NOT_COUNTED]
    called = Counter(cell.cell_class for cell in within if not cell.abstained)
    return BatchCount(no=batch.no, called=called, abstained=sum(cell.abstained for cell in within))


def _stop(rule: RuleSet, before: SpecimenTally, after: SpecimenTally, read: tuple[BatchCount, ...]) -> Stop | None:
    look_at = due(rule, after.specimen, counted(before), counted(after))
    look = None if look_at is None else stop(_with_spread(after, read), rule, look_at)
    if look is None:
        return None
    return Stop(n_read=len(read), rule=rule.name, look=look.at, cells=look.cells, share=look.share, reason=look.reason)


def _with_spread(seen: SpecimenTally, read: tuple[BatchCount, ...]) -> SpecimenTally:
    """Return the counts with how evenly they lie, which widens the intervals of a look as those of a verdict."""
    slide = SlideTally(slide_id=0, counts=seen.counts, abstained=seen.abstained, measured=measured_over(read))
    return replace(seen, slides=(slide,))
