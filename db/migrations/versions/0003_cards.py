"""What a model version's card says of it, and how its calls on held-out cells compare with the truth."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute(
        "ALTER TABLE model_version ADD COLUMN card JSONB, ADD COLUMN confusion JSONB,"
        " ADD CONSTRAINT ck_model_version_card CHECK (jsonb_typeof(card) = 'object'),"
        " ADD CONSTRAINT ck_model_version_confusion CHECK (confusion ? 'classes' AND confusion ? 'counts')"
    )


def downgrade() -> None:
    """Drop the columns, unless a single value would be lost."""
    filled = "SELECT EXISTS (SELECT FROM model_version WHERE num_nonnulls(card, confusion) > 0)"
    if op.get_bind().exec_driver_sql(filled).scalar_one():
        raise RuntimeError("table model_version holds values that a downgrade would lose; nothing was changed")
    op.execute("ALTER TABLE model_version DROP COLUMN card, DROP COLUMN confusion")
