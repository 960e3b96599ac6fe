"""The audit: every step of a run, verdict and correction sealed, each entry over the one before it."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, UniqueConstraint

from db.columns import metadata, moment, one_of, words

KINDS = {"transition": "transition", "verdict": "verdict_history", "correction": "correction"}
"""What an entry seals: a row of which table."""

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # without gaps, in the order of commits
    words("kind"),
    words("subject"),  # the key of the row
    words("row_sha256"),
    moment("sealed_at"),
    words("hash"),
    Column(
        "patient_id", BigInteger
    ),  # of the row, for finding it; not sealed, and no key, which sealing would wait for
    UniqueConstraint("kind", "subject"),
    one_of("kind", KINDS),
    CheckConstraint("seq > 0", name="seq"),
    Index(None, "patient_id", "seq"),
)
