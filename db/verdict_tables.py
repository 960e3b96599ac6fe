"""What the tallies of patients mean, now and before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import metadata, moment, one_of, words
from db.records import Finding


def _verdict_columns() -> Iterator[Column[Any]]:
    yield Column("patient_id", ForeignKey("patient.id"), nullable=False)
    yield Column("model_version_id", ForeignKey("model_version.id"), nullable=False)
    yield Column("rev", BigInteger, nullable=False)
    for name in ("finding", "reason", "rule", "inputs_digest"):
        yield words(name)
    for name in ("cells", "slides_done", "slides_open", "slides_quarantined"):
        yield Column(name, Integer, nullable=False)
    for name in ("shares", "evidence"):
        yield Column(name, JSONB, nullable=False)
    yield moment("reported_at")


verdict = Table(
    "verdict",
    metadata,
    *_verdict_columns(),
    PrimaryKeyConstraint("patient_id", "model_version_id"),
    one_of("finding", Finding),
)

verdict_history = Table(
    "verdict_history",
    metadata,
    *_verdict_columns(),
    PrimaryKeyConstraint("patient_id", "model_version_id", "rev"),
    one_of("finding", Finding),
)
