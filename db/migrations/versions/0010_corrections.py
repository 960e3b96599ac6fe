"""What was said of a cell outlives it, and counts: corrections know their place, and which of them stand is kept.

The words themselves are in `correction`; which of them stand can be made again from them.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_LOST = """
    SELECT EXISTS (SELECT FROM correction LEFT JOIN cell USING (run_id, batch_no, cell_no)
                    WHERE correction.called IS NOT NULL OR cell.run_id IS NULL)
"""


def upgrade() -> None:
    """Add columns and table, and let the cells go of which something was said."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop them, unless a correction knows its place, or has outlived its cell."""
    if op.get_bind().exec_driver_sql(_LOST).scalar_one():
        raise RuntimeError("table correction holds values that a downgrade would lose; nothing was changed")
    op.execute("DROP TABLE corrected_cell")
    op.execute(
        "ALTER TABLE correction DROP COLUMN called, DROP COLUMN abstained, DROP COLUMN x_l0, DROP COLUMN y_l0,"
        " ADD CONSTRAINT fk_correction_cell FOREIGN KEY (run_id, batch_no, cell_no)"
        " REFERENCES cell (run_id, batch_no, cell_no)"
    )
