"""The inbox of events: when each is due for a look, how often it was tried, and what came of it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("event", "tries", "due_at", "outcome")


def upgrade() -> None:
    """Add the columns and the indexes; no version before this one wrote rows into the table."""
    op.execute(
        "ALTER TABLE event_inbox ADD COLUMN event TEXT DEFAULT '' NOT NULL,"
        " ADD COLUMN tries INTEGER DEFAULT 0 NOT NULL, ADD COLUMN due_at timestamptz DEFAULT now() NOT NULL,"
        " ADD COLUMN outcome TEXT,"
        " ADD CONSTRAINT ck_event_inbox_outcome CHECK (outcome IN ('looked', 'overtaken', 'refused', 'failed'))"
    )
    op.execute("CREATE INDEX ix_event_inbox_due_at ON event_inbox (due_at, id) WHERE handled_at IS NULL")
    op.execute("CREATE INDEX ix_event_inbox_received_at ON event_inbox (received_at)")
    op.execute("CREATE INDEX ix_event_inbox_bucket_key ON event_inbox (bucket, key)")


def downgrade() -> None:
    """Drop them, unless a row would lose what is known of it."""
    if op.get_bind().exec_driver_sql("SELECT EXISTS (SELECT FROM event_inbox)").scalar_one():
        raise RuntimeError("table event_inbox holds rows that a downgrade would lose; nothing was changed")
    for name in ("due_at", "received_at", "bucket_key"):
        op.execute(f"DROP INDEX ix_event_inbox_{name}")
    op.execute("ALTER TABLE event_inbox " + ", ".join(f"DROP COLUMN {name}" for name in _COLUMNS))
