"""Who a slide belongs to, what it is, and which model reads it: tables as SQLAlchemy Core sees them.

Every constraint has a name. Readings are in `db/run_tables.py`, what they found in `db/cell_tables.py`, what follows
from it in `db/verdict_tables.py`.
"""

from __future__ import annotations

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
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.columns import count, metadata, moment, one_of, own_id, words
from db.hints import HintOutcome
from db.records import Preparation, SlideState, Specimen

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
    Column("card", JSONB(none_as_null=True)),  # figures, limits and terms; none known of versions registered early
    Column("confusion", JSONB(none_as_null=True)),
    moment("created_at"),
    UniqueConstraint("name"),
    CheckConstraint("weights_sha256 ~ '^[0-9a-f]{64}$'", name="weights_sha256"),
    CheckConstraint("cardinality(classes) > 0", name="classes"),
    CheckConstraint("jsonb_typeof(card) = 'object'", name="card"),
    CheckConstraint("confusion ? 'classes' AND confusion ? 'counts'", name="confusion"),
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
    Column("preparation", Text),
    Column("urgent", Boolean, nullable=False, server_default=text("false")),  # as the lab says: read before others
    moment("taken_at", default=False),
    moment("registered_at"),
    moment("seen_at"),
    UniqueConstraint("bucket", "key", "version_id", "etag", name="uq_slide_identity"),
    Index("uq_slide_current", "bucket", "key", unique=True, postgresql_where=text("state = 'current'")),
    one_of("state", SlideState),
    one_of("specimen", Specimen),
    one_of("preparation", Preparation),
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
    words("event", empty=True),
    moment("received_at"),
    moment("handled_at", default=False),
    count("tries"),
    moment("due_at"),
    Column("outcome", Text),
    UniqueConstraint("source", "msg_id"),
    one_of("outcome", HintOutcome),
    Index("ix_event_inbox_due_at", "due_at", "id", postgresql_where=text("handled_at IS NULL")),
    Index("ix_event_inbox_received_at", "received_at"),
    Index("ix_event_inbox_bucket_key", "bucket", "key"),
)
