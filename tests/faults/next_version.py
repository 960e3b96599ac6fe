"""What row 49 puts behind the newest migration: a table and columns more, as expanding migrations bring them.

The words in capitals are replaced when it is laid beside the others.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "HEAD"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to the tables that the running line writes to all the time."""
    op.create_table("next_version", sa.Column("id", sa.BigInteger, primary_key=True))
    for table in ("run", "cell", "transition"):
        op.add_column(table, sa.Column("noted_by_next_version", sa.BigInteger))


def downgrade() -> None:
    """Take them away."""
    for table in ("run", "cell", "transition"):
        op.drop_column(table, "noted_by_next_version")
    op.drop_table("next_version")
