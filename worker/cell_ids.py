"""What a cell is called in files of other programs, so that it comes back from them as itself."""

from __future__ import annotations

from uuid import UUID, uuid5

SPACE = UUID("6f0a1c52-9d1e-5c83-8b53-2f6f1e6b7a10")
"""Of the identifiers that are made here; another one would give every cell another name."""
MARK = "marrowline"
"""The key that a cell's mark stands under, in the metadata that a program keeps with an object."""

CLASS_MARK = "marrowline_class"
"""The key of the class that a cell is exported with, so that a class that somebody changed is told from one left."""
NOT_CALLED = "abstained"
"""Stands for the class of a cell that the model would not call."""


def cell_id(run_id: int, batch_no: int, cell_no: int) -> UUID:
    """Return a cell's identifier: the same in every file, another for every cell of a database."""
    return uuid5(SPACE, cell_mark(run_id, batch_no, cell_no))


def cell_mark(run_id: int, batch_no: int, cell_no: int) -> str:
    """Return a cell's key in one word: run/batch/cell."""
    return f"{run_id}/{batch_no}/{cell_no}"


def cell_of_mark(mark: str) -> tuple[int, int, int] | None:
    """Return run, batch and number of a cell's mark, None for any other text."""
    parts = mark.split("/")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return None
    run_id, batch_no, cell_no = map(int, parts)
    return run_id, batch_no, cell_no
