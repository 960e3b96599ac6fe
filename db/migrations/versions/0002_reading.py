"""What is known of a reading: scale error, reader, sandbox, areas, stain, defects; and what a lab says a slide is.

`area` and `tile_defect` get columns that no row could fill; no version before this one wrote rows into them.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SOURCES = "mpp_source IN ('header', 'sidecar', 'site')"
_SOURCES_NOW = "mpp_source IN ('header', 'sidecar', 'site', 'estimated')"
_BOX = ("x_l0", "y_l0", "width_l0", "height_l0")
_FILLED = (
    ("slide", "preparation IS NOT NULL"),
    ("run", "num_nonnulls(mpp_error_um, reader, sandbox, area_shares, stain_profile) > 0 OR mpp_source = 'estimated'"),
    ("area", "true"),
    ("tile_defect", "true"),
)


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        "ALTER TABLE slide ADD COLUMN preparation TEXT,"
        " ADD CONSTRAINT ck_slide_preparation CHECK (preparation IN ('smear'))"
    )
    op.execute(
        "ALTER TABLE run ADD COLUMN mpp_error_um DOUBLE PRECISION, ADD COLUMN reader TEXT, ADD COLUMN sandbox TEXT,"
        " ADD COLUMN area_shares JSONB, ADD COLUMN stain_profile JSONB, DROP CONSTRAINT ck_run_mpp_source,"
        f" ADD CONSTRAINT ck_run_mpp_source CHECK ({_SOURCES_NOW}),"
        " ADD CONSTRAINT ck_run_sandbox CHECK (sandbox IN ('weak', 'strong', 'full')),"
        " ADD CONSTRAINT ck_run_mpp_error_um CHECK (mpp_error_um >= 0 AND mpp_error_um < 'Infinity')"
    )
    op.execute(
        "ALTER TABLE area ADD COLUMN mm2 DOUBLE PRECISION NOT NULL,"
        " ADD CONSTRAINT ck_area_mm2 CHECK (mm2 > 0 AND mm2 < 'Infinity')"
    )
    op.execute("ALTER TABLE tile_defect " + ", ".join(f"ADD COLUMN {name} INTEGER NOT NULL" for name in _BOX))


def downgrade() -> None:
    """Drop the columns, unless a single value would be lost."""
    for table, filled in _FILLED:
        if op.get_bind().exec_driver_sql(f"SELECT EXISTS (SELECT FROM {table} WHERE {filled})").scalar_one():
            raise RuntimeError(f"table {table} holds values that a downgrade would lose; nothing was changed")
    op.execute("ALTER TABLE tile_defect " + ", ".join(f"DROP COLUMN {name}" for name in _BOX))
    op.execute("ALTER TABLE area DROP COLUMN mm2")
    op.execute(
        "ALTER TABLE run DROP COLUMN mpp_error_um, DROP COLUMN reader, DROP COLUMN sandbox, DROP COLUMN area_shares,"
        " DROP COLUMN stain_profile, DROP CONSTRAINT ck_run_mpp_source,"
        f" ADD CONSTRAINT ck_run_mpp_source CHECK ({_SOURCES})"
    )
    op.execute("ALTER TABLE slide DROP COLUMN preparation")
