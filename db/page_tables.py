"""The patients' reports in the bucket: whose is due, who writes it, and which verdict the stored one shows."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import count, metadata, moment

# Filled by a trigger in whatever transaction stores a verdict that may be told.
report_page = Table(
    "report_page",
    metadata,
    Column("patient_id", ForeignKey("patient.id"), nullable=False),
    Column("wanted", BigInteger, nullable=False, server_default=text("1")),  # grows with every verdict
    Column("written", BigInteger, nullable=False, server_default=text("0")),  # what was wanted when it was written
    Column("fence", BigInteger, nullable=False, server_default=text("0")),  # grows with every try to write
    count("tries"),
    moment("next_at"),  # not to be tried before: someone is at it, or it failed
    Column("document", JSONB(none_as_null=True)),  # what a worker is to write, while one is to
    Column("document_wanted", BigInteger),
    Column("document_rev", BigInteger),
    Column("key", Text),
    Column("rev", BigInteger),  # of the verdict that is shown under the key; NULL: of none, or not known
    moment("written_at", default=False),
    Column("error_code", Text),  # of the last try, if it failed
    PrimaryKeyConstraint("patient_id"),
    CheckConstraint("written >= 0 AND written <= wanted", name="written"),
    CheckConstraint("num_nonnulls(document, document_wanted, document_rev) IN (0, 3)", name="document"),
    Index("ix_report_page_due", "next_at", postgresql_where=text("written < wanted")),
)
