"""Sums that the reports would otherwise count anew each time, kept by triggers as each transaction commits.

Without foreign keys: their rows are written under the audit's lock, the last that a transaction takes, and nothing may
wait there for a lock of another table. Everything in them can be made again from the other tables.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import count, metadata, one_of, words
from db.records import Finding

SPANS = ("waiting", "reading", "turnaround")
"""Of a reading: until a worker took it, from then on to its end, and both with every try between them."""
STEPS_PER_DOUBLING = 16
"""How finely lengths of time are kept: a step is 4.4 % longer than the one before it."""


def _of_lab() -> list[Column[int]]:
    return [Column("lab_id", BigInteger, nullable=False)]


lab_day = Table(
    "lab_day",
    metadata,
    *_of_lab(),
    Column("day", Date, nullable=False),  # in UTC
    *(count(name) for name in ("asked", "done", "quarantined", "retried", "cancelled")),
    Column("cells", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("lab_id", "day"),
)

lab_day_time = Table(
    "lab_day_time",
    metadata,
    *_of_lab(),
    Column("day", Date, nullable=False),
    words("span"),
    Column("step", SmallInteger, nullable=False),  # floor(16 * log2(seconds)), 0 for less than a second
    count("readings"),
    PrimaryKeyConstraint("lab_id", "day", "span", "step"),
    one_of("span", SPANS),
    CheckConstraint("step >= 0", name="step"),
)

stain_reading = Table(
    "stain_reading",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, autoincrement=False),
    *_of_lab(),
    Column("model_version_id", BigInteger, nullable=False),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("profile", JSONB, nullable=False),
    Column("earlier_slides", Integer, nullable=False),
    Column("components", Integer, nullable=False),
    Column("drift", Double),
    Index("ix_stain_reading_earlier", "lab_id", "model_version_id", "finished_at", "run_id"),
)

lab_finding = Table(
    "lab_finding",
    metadata,
    *_of_lab(),
    Column("model_version_id", BigInteger, nullable=False),
    words("finding"),
    count("patients"),
    PrimaryKeyConstraint("lab_id", "model_version_id", "finding"),
    one_of("finding", Finding),
    CheckConstraint("patients >= 0", name="patients"),
)
