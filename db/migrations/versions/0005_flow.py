"""Urgent slides, and statuses beside uploads: what changed is noted by triggers, what was written is kept.

Rows of both new tables can be made again from the others, so that taking them down loses nothing.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRIGGERS = {
    "slide": ("slide_status_due", "INSERT OR UPDATE"),
    "run": ("run_status_due", "INSERT OR UPDATE"),
    "patient": ("patient_status_due", "UPDATE"),
    "verdict": ("verdict_status_due", "INSERT OR UPDATE"),
}


def upgrade() -> None:
    """Add column, tables and triggers; every slide that stands is due to be told of."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})
    for table, (name, when) in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} AFTER {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    """Drop them, unless a slide is urgent."""
    if op.get_bind().exec_driver_sql("SELECT EXISTS (SELECT FROM slide WHERE urgent)").scalar_one():
        raise RuntimeError("table slide holds values that a downgrade would lose; nothing was changed")
    for table, (name, _) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP TABLE status_due, upload_status")
    op.execute("ALTER TABLE slide DROP COLUMN urgent")
