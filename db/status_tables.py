"""What is told to labs beside their uploads: what changed, and which status was written last."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, PrimaryKeyConstraint, Table, Text, text

from db.columns import count, metadata, moment, own_id, words

# Filled by triggers in whatever transaction changes what a status says; rows are only added and taken away, never
# changed. Without foreign keys: their locks on slide and patient would deadlock with those who lock these first.
status_due = Table(
    "status_due",
    metadata,
    own_id(),
    Column("slide_id", BigInteger),  # one of the two: a slide, or all slides of a patient
    Column("patient_id", BigInteger),
    moment("noted_at"),
    CheckConstraint("num_nonnulls(slide_id, patient_id) = 1", name="whose"),
)

upload_status = Table(
    "upload_status",
    metadata,
    words("bucket"),
    words("key"),
    Column("wanted", BigInteger, nullable=False, server_default=text("1")),  # grows with every change
    Column("written", BigInteger, nullable=False, server_default=text("0")),  # the change that was written last
    Column("fence", BigInteger, nullable=False, server_default=text("0")),  # grows with every try to write
    count("tries"),
    moment("next_at"),  # not to be tried before: someone is at it, or it failed
    Column("state", Text),
    Column("digest", Text),  # of the document that was written last
    moment("written_at", default=False),
    Column("refusal", Text),  # why the object as it lies there now was not taken in
    PrimaryKeyConstraint("bucket", "key"),
    CheckConstraint("written >= 0 AND written <= wanted", name="written"),
    Index("ix_upload_status_due", "next_at", postgresql_where=text("written < wanted")),
)
