"""A slide's cells, as many as the case says that there are."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from db.cases import CaseCell, CaseSlide, cells_of
from worker.errors import ServiceError


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
