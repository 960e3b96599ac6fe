"""Where a run stopped reading before its plan ended, and why."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TOGETHER = "(n_read IS NULL) = (stop IS NULL) AND n_read > 0 AND n_read <= n_batches AND jsonb_typeof(stop) = 'object'"


def upgrade() -> None:
    """Add the columns; the runs that are there were read to the end of their plans, which NULL says."""
    op.execute(
        "ALTER TABLE run ADD COLUMN n_read INTEGER, ADD COLUMN stop JSONB,"
        f" ADD CONSTRAINT ck_run_stop CHECK ({_TOGETHER})"
    )


def downgrade() -> None:
    """Drop the columns, unless a run stopped early: an older version would miss the batches beyond."""
    if op.get_bind().exec_driver_sql("SELECT EXISTS (SELECT FROM run WHERE n_read IS NOT NULL)").scalar_one():
        raise RuntimeError("table run holds values that a downgrade would lose; nothing was changed")
    op.execute("ALTER TABLE run DROP COLUMN n_read, DROP COLUMN stop")
