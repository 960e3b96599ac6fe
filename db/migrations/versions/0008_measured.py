"""What the cells of a run are like, class by class, and how evenly they lie: stored when the run is done."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NUMBERS = ("mean_probability", "median_nc_ratio", "median_nucleus_um2", "median_nucleus_offset", "areas_chi2")
_COUNTS = ("of_cell_width", "areas_df")


def upgrade() -> None:
    """Add the columns; runs that are done already keep NULL."""
    columns = [f"ADD COLUMN {name} DOUBLE PRECISION" for name in _NUMBERS]
    columns += [f"ADD COLUMN {name} INTEGER" for name in _COUNTS]
    check = "ADD CONSTRAINT ck_run_count_measured CHECK (of_cell_width >= 0 AND areas_chi2 >= 0 AND areas_df > 0)"
    op.execute(f"ALTER TABLE run_count {', '.join(columns)}, {check}")


def downgrade() -> None:
    """Drop the columns, unless a single value would be lost."""
    names = ", ".join(_NUMBERS + _COUNTS)
    filled = f"SELECT EXISTS (SELECT FROM run_count WHERE num_nonnulls({names}) > 0)"
    if op.get_bind().exec_driver_sql(filled).scalar_one():
        raise RuntimeError("table run_count holds values that a downgrade would lose; nothing was changed")
    op.execute(f"ALTER TABLE run_count {', '.join(f'DROP COLUMN {name}' for name in _NUMBERS + _COUNTS)}")
