"""Sums per laboratory and day for the reports, and the box around the cells of each batch.

The sums are made from what is there; batches written before have no box. Taking it down loses nothing that could not be
made again.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, columns, functions and triggers, and sum up what is there."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TRIGGER lab_day_kept ON transition")
    for name in ("lab_finding_noted", "lab_finding_changed", "lab_finding_kept"):
        op.execute(f"DROP TRIGGER {name} ON verdict")
    op.execute("DROP TRIGGER stain_kept ON run")
    op.execute("DROP FUNCTION lab_day_kept(), lab_finding_noted(), lab_finding_kept(), sum_up_again()")
    op.execute("DROP FUNCTION lab_day_add(bigint, xid), stain_kept(), stain_read(bigint)")
    op.execute("DROP TABLE lab_day, lab_day_time, lab_finding, stain_reading")
    op.execute("DROP INDEX ix_run_quarantined")
    for name in ("x_min_l0", "y_min_l0", "x_max_l0", "y_max_l0"):
        op.execute(f"ALTER TABLE batch DROP COLUMN {name}")
