"""Puts a report together from its parts: the case, and what was seen of its slides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.cases import Case, CaseSlide
from db.records import CellClass
from worker.outputs.report import background, differential, finding, stops, words
from worker.outputs.report.content import CellGroup, CellPicture, Content, Fact, SlideCard
from worker.outputs.report.differential import SeenSlide
from worker.outputs.report.fuzzy import fuzzy
from worker.outputs.report.pictures import BAR_UM, CELL_UM, OTHER_CELLS, Picture, css_colour
from worker.outputs.report.sample import NOT_CALLED, Sampled, SeenRun
from worker.outputs.report.told import told

MOST_PICTURED = 8
"""Slides whose overviews are shown; a page of more would not open on a phone."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A slide, its cells, and the pictures that could be taken of it."""

    slide: CaseSlide
    name: str
    cells: SeenRun
    overview: Picture | None = None
    trouble: str = ""  # why there are no pictures
    pictures: Mapping[Sampled, Picture] = field(default_factory=dict)


def content_of(
    case: Case, classes: tuple[str, ...], looked: Sequence[Looked], chosen: Mapping[str, Sequence[Sampled]]
) -> Content:
    """Return the report of a case.

    Args:
        case: the finding with its evidence.
        classes: those that decide, first in the gallery.
        looked: the slides that were read.
        chosen: the cells to show of each class.
    """
    criteria = finding.criteria(case)
    head = told(case, criteria)
    slides = [SeenSlide(name=one.name, specimen=one.slide.specimen, cells=one.cells) for one in looked]
    left = len(looked) - MOST_PICTURED
    named = sum(one.cells.named for one in looked)
    return Content(
        patient=case.report.patient,
        lab=case.report.lab,
        reported_at=words.moment(case.report.reported_at),
        tone=head.tone,
        headline=head.headline,
        plain=head.plain,
        reason=case.report.reason,
        reading=finding.reading(case),
        next_step=head.next_step,
        key_facts=finding.key_facts(case, criteria, named),
        open_slides=finding.open_slides(case),
        criteria=criteria,
        differentials=differential.differentials(case, classes),
        gallery=_gallery(classes, looked, chosen),
        slides=tuple(_card(one) for one in looked[:MOST_PICTURED]),
        more_slides=f"{words.number_of(left, 'further slide')} without a picture here." if left > 0 else "",
        comparisons=differential.comparisons(case, slides, classes),
        stops=stops.stops(case, {one.slide.slide_id: one.name for one in looked}),
        stops_lead=stops.lead(case),
        persons=background.persons(case),
        corrections=background.corrections(case),
        correction_note=background.correction_note(case),
        certainty=background.certainty(case),
        fuzzy=fuzzy(case),
        provenance=background.provenance(case, named),
        files=background.files(case),
        limits=background.limits(case),
        of_model=background.of_model(case),
        legend=_legend(classes, looked),
        cell_um=CELL_UM,
        bar_um=BAR_UM,
        notice=words.NOTICE,
        made=background.made(named),
    )


def called(name: str, cell: Sampled) -> str:
    """Return what the model took a cell for, where that is not simply the class that it stands under."""
    likeliest = words.SINGULAR[CellClass(cell.cell_class)]
    if cell.corrected:
        return "confirmed" if name == cell.cell_class else f"corrected, was {likeliest}"
    return f"{likeliest}?" if name == NOT_CALLED else ""


def _gallery(
    classes: Sequence[str], looked: Sequence[Looked], chosen: Mapping[str, Sequence[Sampled]]
) -> tuple[CellGroup, ...]:
    pictures = {cell: picture for one in looked for cell, picture in one.pictures.items()}
    names = {one.slide.run_id: one.name for one in looked}
    order = [*classes, NOT_CALLED, *(one.value for one in words.ORDER if one not in classes)]
    made = []
    for name in order:
        shown = tuple(
            CellPicture(
                picture=pictures[cell],
                words=words.sureness(cell.probability),
                called=called(name, cell),
                slide=names[cell.run_id] or "",
            )
            for cell in chosen.get(name, [])
            if cell in pictures
        )
        if shown:
            total = sum(one.cells.counts[name] for one in looked)
            made.append(
                CellGroup(
                    name="Not called" if name == NOT_CALLED else words.title(words.plural(name)),
                    colour=css_colour(name),
                    shown=f"{len(shown)} of {words.count(total)}",
                    decides=name in classes,
                    large=name in classes or name == NOT_CALLED,
                    cells=shown,
                )
            )
    return tuple(made)


def _card(one: Looked) -> SlideCard:
    return SlideCard(name=one.name, picture=one.overview, trouble=one.trouble, facts=background.slide_facts(one.slide))


def _legend(classes: Sequence[str], looked: Sequence[Looked]) -> tuple[Fact, ...]:
    present = {name for one in looked for name in one.cells.counts}
    red, green, blue = OTHER_CELLS
    return (
        *(Fact(name=words.title(words.plural(name)), value=css_colour(name)) for name in classes if name in present),
        *([Fact(name="Not called", value=css_colour(NOT_CALLED))] if NOT_CALLED in present else []),
        Fact(name="All others", value=f"#{red:02x}{green:02x}{blue:02x}"),
    )
