"""A chain of hashes over the steps of runs, verdicts and corrections; what is there is sealed as it is found.

Taking it down loses the chain, not a row that it seals: the next upgrade begins a new one.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add table, functions and triggers."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop them."""
    for table in ("transition", "verdict_history", "correction"):
        op.execute(f"DROP TRIGGER audit_seal ON {table}")
    op.execute("DROP TRIGGER only_grows ON correction")
    op.execute("DROP FUNCTION audit_seal(), audit_append(text, text, jsonb)")
    op.execute("DROP TABLE audit")
