"""Gathers a report: the case from the database, the cells as they pass, the pictures from the stored slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from db.cases import Case, CaseSlide
from db.records import CellClass
from db.session import transaction
from worker.errors import BadSlideError, ObjectChangedError
from worker.outputs.report import finding, words
from worker.outputs.report.content import Content
from worker.outputs.report.page import MOST_PICTURED, Looked, called, content_of
from worker.outputs.report.pictures import Picture, cell_pictures, overview_picture
from worker.outputs.report.sample import NOT_CALLED, Sampled, SeenRun, seen, surest
from worker.outputs.stored_cells import all_cells
from worker.outputs.stored_slides import opened
from worker.slides.reader import SlideReader
from worker.workshop import Tell, Workshop

_DECIDING, _NOT_CALLED, _OTHER = 24, 12, 6
"""How many cells are shown of a class."""


def gathered(workshop: Workshop, case: Case, tell: Tell) -> Content:
    """Return the report of a case.

    Raises ServiceError and SandboxError as staging and reading do; a slide that is gone or damaged since it was read
    has its reason in place of its pictures.
    """
    classes = finding.deciding(case)
    most = {**dict.fromkeys(classes, _DECIDING), NOT_CALLED: _NOT_CALLED}
    runs = []
    for slide in case.read:
        with transaction(workshop.engine) as conn:
            runs.append(seen(all_cells(conn, slide), most, otherwise=_OTHER))
    chosen = _chosen(runs, most)
    looked = []
    for no, (slide, cells) in enumerate(zip(case.read, runs, strict=True)):
        tell("slides", no, len(runs))
        looked.append(_look(workshop, slide, cells, _Wanted(no=no, deciding=classes, cells=chosen)))
    tell("slides", len(runs), len(runs))
    return content_of(case, classes, looked, chosen)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What is to be pictured of a slide."""

    no: int  # among the slides that were read
    deciding: tuple[str, ...]
    cells: dict[str, list[Sampled]]  # of all slides


def _chosen(runs: Sequence[SeenRun], most: dict[str, int]) -> dict[str, list[Sampled]]:
    """Return the cells to show of each class: each slide's part of them by its part of the class's cells."""
    total: Counter[str] = Counter()
    for run in runs:
        total.update(run.counts)
    found: dict[str, list[Sampled]] = {}
    for name, number in total.items():
        room = min(most.get(name, _OTHER), number)
        parts = [room * run.counts[name] / number for run in runs]
        sizes = [int(part) for part in parts]
        for index in sorted(range(len(parts)), key=lambda i: sizes[i] - parts[i])[: room - sum(sizes)]:
            sizes[index] += 1
        found[name] = surest(
            one for run, size in zip(runs, sizes, strict=True) for one in _spread(run.sample.get(name, []), size)
        )
    return found


def _spread(cells: Sequence[Sampled], size: int) -> list[Sampled]:
    """Return so many of the cells, evenly from the surest to the least sure."""
    return [cells[index * len(cells) // size] for index in range(size)]


def _look(workshop: Workshop, slide: CaseSlide, cells: SeenRun, wanted: _Wanted) -> Looked:
    name = f"Slide {wanted.no + 1}"
    overview, trouble, pictures = None, "", {}
    try:
        with opened(workshop, slide.obj, slide.files, slide.sha256) as reader:
            pictures = _pictured(reader, slide, wanted)
            if wanted.no < MOST_PICTURED:
                alt = _overview_alt(name, cells, wanted.deciding)
                overview = overview_picture(reader, slide.plan or {}, cells, wanted.deciding, alt)
    except BadSlideError as bad:
        trouble = f"Its pixels can no longer be read: {bad.cause}."
    except ObjectChangedError:
        trouble = "The stored file was replaced or deleted since it was read."
    return Looked(slide=slide, name=name, cells=cells, overview=overview, trouble=trouble, pictures=pictures)


def _pictured(reader: SlideReader, slide: CaseSlide, wanted: _Wanted) -> dict[Sampled, Picture]:
    ours = [(name, one) for name, cells in wanted.cells.items() for one in cells if one.run_id == slide.run_id]
    alts = [_alt(name, one, wanted.no + 1) for name, one in ours]
    taken = cell_pictures(reader, slide.plan or {}, [one for _, one in ours], alts)
    return {one: picture for (_, one), picture in zip(ours, taken, strict=True) if picture}


def _alt(name: str, cell: Sampled, slide: int) -> str:
    told = called(name, cell) or words.SINGULAR[CellClass(cell.cell_class)]
    stands = f"{words.SINGULAR[CellClass(name)]}, {told}" if cell.corrected else told
    return f"{words.title(stands)} {words.sureness(cell.probability)}, slide {slide}"


def _overview_alt(name: str, cells: SeenRun, classes: Sequence[str]) -> str:
    listed = [f"{words.count(cells.counts[one])} {words.plural(one)}" for one in classes if cells.counts[one]]
    found = f", among them {' and '.join(listed)}" if listed else ""
    return f"{name} from afar: the counted area outlined, {words.count(cells.counted)} counted cells ringed{found}"
