"""The cells of a case's slides, as many as the case says that there are, and word of how far they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from db.cases import Case, CaseCell, CaseSlide, cells_of
from db.correction_tables import corrected_cell
from worker.errors import ServiceError
from worker.workshop import Tell

TOLD_EVERY = 50_000
"""Cells, of which a second or more passes before they are written."""


def all_cells(conn: Connection, slide: CaseSlide) -> Iterator[CaseCell]:
    """Yield the cells of a slide that was read, in order, in memory that does not grow with them.

    Raises ServiceError, at the end, when they are not as many as the case says: it has changed since.
    """
    count = 0
    if slide.run_id is not None:
        for cell in cells_of(conn, slide.run_id):
            yield cell
            count += 1
    if count != slide.cells:
        raise ServiceError(f"slide {slide.slide_id} changed while it was written: run the command again")


def named_cells(conn: Connection, case: Case) -> Counter[str]:
    """Return of how many cells of each kind of specimen a person has said what they are."""
    specimens = {slide.run_id: slide.specimen for slide in case.read}
    run_id = corrected_cell.c.run_id
    wanted = select(run_id, func.count().label("cells")).where(run_id.in_(specimens)).group_by(run_id)
    found: Counter[str] = Counter()
    for row in conn.execute(wanted):
        found[specimens[row.run_id]] += row.cells
    return found


@dataclass(kw_only=True)
class Passing:
    """Counts the cells of a case as they pass, slide by slide."""

    tell: Tell
    total: int
    done: int = 0

    @classmethod
    def of(cls, case: Case, tell: Tell) -> Passing:
        """Return a count of all cells of the slides that were read."""
        return cls(tell=tell, total=sum(slide.cells or 0 for slide in case.read))

    def along(self, name: str, cells: Iterable[CaseCell]) -> Iterator[CaseCell]:
        """Yield the cells of one more slide, and tell under that name, at its end too, how many have passed."""
        for cell in cells:
            yield cell
            self.done += 1
            if self.done % TOLD_EVERY == 0:
                self.tell(name, self.done, self.total)
        self.tell(name, self.done, self.total)
