"""What a report says, in the order of its page and in words and numbers ready to be set: one value, two layouts."""

from __future__ import annotations

from dataclasses import dataclass

from worker.outputs.report.pictures import Picture


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A share with its interval, each 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A name with what stands beside it, and a sentence where one is needed."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A share as it is drawn: on an axis from 0 to `axis`, with its threshold where a rule has one."""

    share: Interval
    axis: float
    threshold: float | None
    colour: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A share that the rule judges."""

    name: str  # of the cells
    disease: str
    specimen: str  # as it stands after "in"
    counted: str  # so many of so many
    share: str
    interval: str  # with the abstained cells on either side
    threshold: str
    side: str  # above | below | straddles
    verdict: str
    chance: str  # sentence: how likely the true share reaches the threshold; empty where it is not known
    spread: str  # by how much uneven spread widens the interval; empty where it does not
    source: str
    bar: Bar


@dataclass(frozen=True, kw_only=True)
class Row:
    """A class of a differential."""

    name: str
    colour: str
    count: str
    share: str
    interval: str
    bar: Bar | None
    decides: bool


@dataclass(frozen=True, kw_only=True)
class Group:
    """The classes of a lineage."""

    name: str
    share: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Differential:
    """The counted cells of one kind of specimen."""

    specimen: str  # as it stands after "of"
    cells: str
    least: str
    axis: str
    groups: tuple[Group, ...]
    outside: tuple[Fact, ...]  # what is in no denominator
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class CellPicture:
    """A cell with what the model says of it."""

    picture: Picture
    words: str  # how sure its call is
    called: str  # what the model took it for, where it was not called or was corrected; empty elsewhere
    slide: str


@dataclass(frozen=True, kw_only=True)
class CellGroup:
    """Cells of a class, the surest first."""

    name: str
    colour: str
    shown: str  # so many of so many
    decides: bool
    large: bool  # whether its cells are looked at first
    cells: tuple[CellPicture, ...]


@dataclass(frozen=True, kw_only=True)
class SlideCard:
    """A slide that was read."""

    name: str
    picture: Picture | None
    trouble: str  # why there is no picture; empty where there is one
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Open:
    """A slide that the finding waits for."""

    name: str
    state: str
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class SlideShare:
    """What one slide shows of a class."""

    slide: str
    cells: str
    text: str
    bar: Bar | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A class on each slide of a specimen."""

    name: str
    specimen: str  # as it stands after "of"
    colour: str
    shares: tuple[SlideShare, ...]
    note: str  # whether they differ more than chance


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A counted share beside the one corrected for the model's confusions."""

    name: str
    specimen: str  # as it stands after "in"
    counted: str
    counted_interval: str
    corrected: str
    corrected_interval: str


@dataclass(frozen=True, kw_only=True)
class FuzzyInput:
    """What a fuzzy system is told, and which of its words hold of it."""

    name: str
    value: str  # with its unit
    holds: str  # in part, where two words do
    limits: str  # up to where, and from where, they hold wholly


@dataclass(frozen=True, kw_only=True)
class FuzzyView:
    """What a fuzzy system makes of a disease."""

    disease: str
    system: str
    score: str
    meaning: str  # of the score; empty where the system is not known
    inputs: tuple[FuzzyInput, ...]
    rules: tuple[Fact, ...]  # that fired, the strongest first


@dataclass(frozen=True, kw_only=True)
class Content:
    """A whole report."""

    patient: str
    lab: str
    reported_at: str
    tone: str  # disease | clear | doubt | open
    headline: str
    plain: tuple[str, ...]  # the reason in plain words
    reason: str  # in the rule's own
    reading: str  # what its words mean
    next_step: str
    key_facts: tuple[Fact, ...]
    open_slides: tuple[Open, ...]
    criteria: tuple[Criterion, ...]
    differentials: tuple[Differential, ...]
    gallery: tuple[CellGroup, ...]
    slides: tuple[SlideCard, ...]
    more_slides: str
    comparisons: tuple[Comparison, ...]
    stops: tuple[Fact, ...]  # where counting ended, and why
    stops_lead: str
    persons: tuple[Fact, ...]  # what became of the cells that persons named
    corrections: tuple[Correction, ...]
    correction_note: str
    certainty: tuple[Fact, ...]
    fuzzy: tuple[FuzzyView, ...]
    provenance: tuple[Fact, ...]
    files: tuple[Fact, ...]  # slides with their SHA-256
    limits: tuple[str, ...]  # of the rule
    of_model: tuple[Fact, ...]  # limits and terms, as its card says
    legend: tuple[Fact, ...]  # of the overviews: class and colour
    cell_um: float
    bar_um: float
    notice: str
    made: str  # by what, and who has looked at the cells
