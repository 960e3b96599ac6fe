"""Reports of patients in the bucket: a trigger notes each verdict that may be told, and what was written is kept.

The rows can be made again from the verdicts, so that taking the table down loses nothing but reports' places.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its triggers; patients get a report from their next verdict on."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TRIGGER verdict_page_due ON verdict")
    op.execute("DROP TABLE report_page")
    op.execute("DROP FUNCTION verdict_page_due()")
    op.execute("DROP FUNCTION page_status_due()")
