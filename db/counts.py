"""What is counted and what it means, from a batch's cells to a verdict: frozen, standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from db.records import Confusion, Finding, Specimen

AREAS = 20
"""Into so many groups, at most, the batches of a run are divided to tell how evenly its cells lie: by their numbers."""


@dataclass(frozen=True, kw_only=True)
class BatchCount:
    """A batch's cells as a rule counts them."""

    no: int
    called: Mapping[str, int] = field(default_factory=dict)  # per class, those outside the denominator left out
    abstained: int = 0  # cells whose class is not one of NOT_COUNTED and that the model would not call


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Where a reading that takes looks at its counts ended, and why."""

    n_read: int  # batches of the plan, from its first
    rule: str  # the rule set by which it took looks
    look: int | None  # counted cells from which the look was due that ended it; None: the plan ended
    cells: int  # counted cells in those batches
    share: float  # of the rule's error, left to the intervals of these counts
    reason: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the called cells of one class on one slide are like; None: not known."""

    probability: float | None = None  # mean of their class
    nc_ratio: float | None = None  # median, as the two below
    nucleus_um2: float | None = None
    nucleus_offset: float | None = None  # of its middle from the cell's, in radii of the cell
    of_cell_width: int | None = None  # cells 5 to 30 µm wide, abstained ones too
    areas_chi2: float | None = None  # Pearson's, of the class over areas of the slide
    areas_df: int | None = None


@dataclass(frozen=True, kw_only=True)
class SlideTally:
    """The cells of one slide in a tally."""

    slide_id: int
    counts: Mapping[str, int]  # per class, abstained cells left out
    abstained: int
    measured: Mapping[str, Measured] = field(default_factory=dict)  # per class
    stop: Stop | None = None  # where and why its reading ended; None: it was read whole, by a rule without looks

    @property
    def error_share(self) -> float:
        """The part of the rule's error that the looks taken while it was read left."""
        return 1.0 if self.stop is None else self.stop.share


APART = "abstained, outside the count"
"""Stands for the call of a judged cell that was abstained and most likely of a class of NOT_COUNTED."""


@dataclass(frozen=True, kw_only=True)
class SpecimenTally:
    """A patient's counted cells in one kind of specimen, under one model version."""

    specimen: Specimen
    counts: Mapping[str, int]  # per class, abstained cells left out
    abstained: int  # cells whose class is not one of NOT_COUNTED and that the model would not call
    slides_done: int
    slides: tuple[SlideTally, ...] = ()  # the same cells slide by slide, where that is known
    judged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Cells that persons judged, by call, `abstained` or `APART`, and by the class given, as which they count."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """All that a verdict rests on; equal tallies give equal verdicts."""

    model_version: str
    rule: str  # the name of the lab's rule set
    specimens: tuple[SpecimenTally, ...]
    slides_done: int
    slides_open: int  # waiting, being read, waiting for a retry, or missing from the bucket
    slides_quarantined: int
    confusion: Confusion | None = None  # that of the model version


@dataclass(frozen=True, kw_only=True)
class Share:
    """A class's share of the counted cells with its exact interval."""

    value: float | None  # None: no cell was counted
    ci_low: float
    ci_high: float
    threshold: float | None  # None: the rule judges no such share in this specimen
    p_above: float | None  # probability that the true share reaches the threshold


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a tally means under a rule."""

    finding: Finding
    reason: str
    rule: str
    cells: int  # the denominator
    shares: Mapping[str, Share]
    evidence: Mapping[str, Any] = field(default_factory=dict)


Decide = Callable[[Tally], Verdict]
"""The pure function that turns a tally into a verdict (worker.verdict.decide)."""
