"""An entry of the audit knows its patient, so that the newest of a laboratory and all of a patient are found by index."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, its index and what fills it, for the entries that are there too."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop them: whose an entry is follows from the row that it seals."""
    for policy in ("of_parts", "of_lab", "of_owner"):
        op.execute(f"DROP POLICY IF EXISTS {policy} ON audit")
    op.execute("ALTER TABLE audit NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    op.execute("DROP TRIGGER of_patient ON audit")
    op.execute("DROP FUNCTION audit_of_patient()")
    op.execute("ALTER TABLE audit DROP COLUMN patient_id")
