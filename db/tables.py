"""The tables, as SQLAlchemy Core sees them; every constraint has a name.

A slide's cells and outlines are in `db/cell_tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import count, metadata, moment, one_of, own_id, words
from db.records import CellClass, Finding, RunState, SlideState, Specimen

lab = Table(
    "lab",
    metadata,
    own_id(),
    words("code"),
    words("rule"),
    words("default_specimen"),
    Column("site_mpp_um", Double),
    moment("created_at"),
    UniqueConstraint("code"),
    one_of("default_specimen", Specimen),
    CheckConstraint("code <> ''", name="code"),
    CheckConstraint("site_mpp_um > 0 AND site_mpp_um < 'Infinity'", name="site_mpp_um"),
)

model_version = Table(
    "model_version",
    metadata,
    own_id(),
    words("name"),
    words("weights_sha256"),
    Column("classes", ARRAY(Text), nullable=False),
    Column("preprocess", JSONB, nullable=False),
    moment("created_at"),
    UniqueConstraint("name"),
    CheckConstraint("weights_sha256 ~ '^[0-9a-f]{64}$'", name="weights_sha256"),
    CheckConstraint("cardinality(classes) > 0", name="classes"),
)

active_model = Table(
    "active_model",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true"), autoincrement=False),
    Column("model_version_id", ForeignKey("model_version.id"), nullable=False),
    moment("activated_at"),
    CheckConstraint("only_row", name="only_row"),
)

patient = Table(
    "patient",
    metadata,
    own_id(),
    Column("lab_id", ForeignKey("lab.id"), nullable=False),
    words("pseudonym"),
    Column("rev", BigInteger, nullable=False, server_default=text("0")),
    Column("shown_model_id", ForeignKey("model_version.id")),  # whose verdict the reports show
    moment("created_at"),
    UniqueConstraint("lab_id", "pseudonym"),
    CheckConstraint("pseudonym <> ''", name="pseudonym"),
)

slide = Table(
    "slide",
    metadata,
    own_id(),
    Column("patient_id", ForeignKey("patient.id"), nullable=False, index=True),
    words("bucket"),
    words("key"),
    words("version_id", empty=True),
    words("etag", empty=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("last_modified", DateTime(timezone=True), nullable=False),
    Column("sha256", Text),
    Column("manifest_digest", Text),
    words("state"),
    words("specimen"),
    Column("stain", Text),
    Column("declared_mpp_um", Double),
    moment("taken_at", default=False),
    moment("registered_at"),
    moment("seen_at"),
    UniqueConstraint("bucket", "key", "version_id", "etag", name="uq_slide_identity"),
    Index("uq_slide_current", "bucket", "key", unique=True, postgresql_where=text("state = 'current'")),
    one_of("state", SlideState),
    one_of("specimen", Specimen),
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    CheckConstraint("declared_mpp_um > 0 AND declared_mpp_um < 'Infinity'", name="declared_mpp_um"),
)

slide_file = Table(
    "slide_file",
    metadata,
    Column("slide_id", ForeignKey("slide.id"), nullable=False),
    words("key"),
    words("version_id", empty=True),
    words("etag", empty=True),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("slide_id", "key"),
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
)

run = Table(
    "run",
    metadata,
    own_id(),
    Column("slide_id", ForeignKey("slide.id"), nullable=False),
    Column("model_version_id", ForeignKey("model_version.id"), nullable=False, index=True),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    count("attempt"),
    count("releases"),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_owner", Text),
    moment("lease_until", default=False),
    moment("next_at"),
    moment("progress_at", default=False),
    Column("plan", JSONB),
    Column("plan_digest", Text),
    Column("n_batches", Integer),
    Column("mpp_um", Double),
    Column("mpp_source", Text),
    Column("feature_names", ARRAY(Text)),
    Column("n_cells", Integer),
    Column("error_code", Text),
    Column("error_cause", Text),
    Column("error_remedy", Text),
    words("changed_by"),  # who made the last step, and why: the trigger copies both to `transition`
    words("change_reason"),
    moment("created_at"),
    moment("finished_at", default=False),
    UniqueConstraint("slide_id", "model_version_id"),
    one_of("state", RunState),
    one_of("mpp_source", ("header", "sidecar", "site")),
    CheckConstraint("releases >= 0 AND releases <= attempt AND attempt - releases <= max_attempts", name="attempts"),
    CheckConstraint("max_attempts > 0", name="max_attempts"),
    CheckConstraint("n_batches >= 0 AND n_cells >= 0", name="totals"),
    CheckConstraint("mpp_um > 0 AND mpp_um < 'Infinity'", name="mpp_um"),
    CheckConstraint(
        "(state = 'running') = (lease_owner IS NOT NULL) AND (state = 'running') = (lease_until IS NOT NULL)",
        name="lease",
    ),
    CheckConstraint(
        "state <> 'done' OR (finished_at IS NOT NULL AND n_batches IS NOT NULL AND n_cells IS NOT NULL)",
        name="done",
    ),
    CheckConstraint(
        "state <> 'quarantined' OR (error_code IS NOT NULL AND error_cause IS NOT NULL AND error_remedy IS NOT NULL)",
        name="quarantined",
    ),
    Index("ix_run_due", "next_at", postgresql_where=text("state IN ('pending', 'retry_wait')")),
    Index("ix_run_lease", "lease_until", postgresql_where=text("state = 'running'")),
)

run_count = Table(
    "run_count",
    metadata,
    Column("run_id", ForeignKey("run.id"), nullable=False),
    words("cell_class"),
    Column("called", Integer, nullable=False),
    Column("abstained", Integer, nullable=False),
    Column("counted", Boolean, nullable=False),  # whether the class is in the denominator of shares
    PrimaryKeyConstraint("run_id", "cell_class"),
    one_of("cell_class", CellClass),
    CheckConstraint("called >= 0 AND abstained >= 0", name="counts"),
)


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

transition = Table(
    "transition",
    metadata,
    own_id(),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("from_state", Text),
    words("to_state"),
    Column("fence", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    words("actor"),
    words("reason"),
    moment("at"),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Text, primary_key=True),
    words("host"),
    words("device"),
    moment("started_at"),
    moment("seen_at"),
    moment("last_claim_attempt_at", default=False),
)

event_inbox = Table(
    "event_inbox",
    metadata,
    own_id(),
    words("source"),
    words("msg_id"),
    words("bucket"),
    words("key"),
    words("version_id", empty=True),
    words("sequencer", empty=True),
    moment("received_at"),
    moment("handled_at", default=False),
    UniqueConstraint("source", "msg_id"),
)
