"""First schema: slides, runs, cells, verdicts, their logs, and the rules that guard them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "correction", "tile_defect", "area", "outline", "cell", "batch", "event_inbox", "worker", "verdict_history",
    "verdict", "transition", "run_count", "run", "slide_file", "slide", "patient", "active_model", "model_version",
    "lab",
)  # fmt: skip
FUNCTIONS = ("slide_step", "run_step", "run_logged", "only_grows")


def upgrade() -> None:
    """Create everything."""
    here = Path(__file__).parent
    for name in ("0001_first.sql", "0001_first_rules.sql"):
        _execute((here / name).read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything, unless a single row would be lost."""
    bind = op.get_bind()
    for table in TABLES:
        if bind.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {table})").scalar_one():
            raise RuntimeError(f"table {table} holds rows that a downgrade would lose; nothing was changed")
    for table in TABLES:
        op.drop_table(table)
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}()")


def _execute(script: str) -> None:
    """Run a script as it stands: neither `:name` nor `%` is a parameter in it."""
    op.get_bind().exec_driver_sql(script, execution_options={"no_parameters": True})
