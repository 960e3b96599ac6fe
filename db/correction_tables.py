"""Tables of what persons said of cells: every word of theirs, and which of them count."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from db.columns import metadata, moment, one_of, own_id, words
from db.records import CellClass


def _cell_key() -> list[Column[int]]:
    names = {"run_id": BigInteger, "batch_no": Integer, "cell_no": Integer}
    return [Column(name, kind, nullable=False) for name, kind in names.items()]


# No key leads to the cell: it goes when its slide is read anew, and what was said of its place stays.
correction = Table(
    "correction",
    metadata,
    own_id(),
    *_cell_key(),
    words("made_by"),
    words("cell_class"),
    Column("note", Text),
    moment("made_at"),
    Column("called", Text),  # what the model had called the cell, and where it lies; NULL in rows of old
    Column("abstained", Boolean),
    Column("x_l0", Double),
    Column("y_l0", Double),
    one_of("cell_class", CellClass),
    one_of("called", CellClass),
    Index("ix_correction_cell", "run_id", "batch_no", "cell_no"),
)

corrected_cell = Table(
    "corrected_cell",
    metadata,
    *_cell_key(),
    words("cell_class"),
    words("called"),
    Column("abstained", Boolean, nullable=False),
    Column("correction_id", ForeignKey("correction.id"), nullable=False, index=True),
    PrimaryKeyConstraint("run_id", "batch_no", "cell_no"),
    ForeignKeyConstraint(["run_id", "batch_no"], ["batch.run_id", "batch.no"], ondelete="CASCADE"),
    one_of("cell_class", CellClass),
    one_of("called", CellClass),
)
