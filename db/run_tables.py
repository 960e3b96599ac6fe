"""Readings of slides: how each stands, every step it took, and the workers that carry them out."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
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
from db.records import CellClass, RunState

SANDBOXES = ("weak", "strong", "full")
"""How firmly a slide is shut in while it is read, the least firm first."""

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
    Column("n_read", Integer),  # of the plan's batches, from its first, where a rule's looks may end the reading
    Column("stop", JSONB),  # what ended it
    Column("mpp_um", Double),
    Column("mpp_source", Text),
    Column("mpp_error_um", Double),
    Column("reader", Text),
    Column("sandbox", Text),
    Column("area_shares", JSONB),
    Column("stain_profile", JSONB),
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
    one_of("mpp_source", ("header", "sidecar", "site", "estimated")),
    one_of("sandbox", SANDBOXES),
    CheckConstraint("releases >= 0 AND releases <= attempt AND attempt - releases <= max_attempts", name="attempts"),
    CheckConstraint("max_attempts > 0", name="max_attempts"),
    CheckConstraint("n_batches >= 0 AND n_cells >= 0", name="totals"),
    CheckConstraint(
        "(n_read IS NULL) = (stop IS NULL) AND n_read > 0 AND n_read <= n_batches AND jsonb_typeof(stop) = 'object'",
        name="stop",
    ),
    CheckConstraint("mpp_um > 0 AND mpp_um < 'Infinity'", name="mpp_um"),
    CheckConstraint("mpp_error_um >= 0 AND mpp_error_um < 'Infinity'", name="mpp_error_um"),
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
    Index("ix_run_quarantined", "slide_id", postgresql_where=text("state = 'quarantined'")),
)

run_count = Table(
    "run_count",
    metadata,
    Column("run_id", ForeignKey("run.id"), nullable=False),
    words("cell_class"),
    Column("called", Integer, nullable=False),
    Column("abstained", Integer, nullable=False),
    Column("counted", Boolean, nullable=False),  # whether the class is in the denominator of shares
    *(Column(name, Double) for name in ("mean_probability", "median_nc_ratio", "median_nucleus_um2")),
    Column("median_nucleus_offset", Double),  # in radii of the cell
    Column("of_cell_width", Integer),  # cells 5 to 30 µm wide, abstained ones too
    Column("areas_chi2", Double),  # of the called cells over areas of the slide (db/measuring.py)
    Column("areas_df", Integer),
    PrimaryKeyConstraint("run_id", "cell_class"),
    one_of("cell_class", CellClass),
    CheckConstraint("called >= 0 AND abstained >= 0", name="counts"),
    CheckConstraint("of_cell_width >= 0 AND areas_chi2 >= 0 AND areas_df > 0", name="measured"),
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
