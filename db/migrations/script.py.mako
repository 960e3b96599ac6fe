"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Change the schema; the report views are away while this runs."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Change it back, only where nothing can be lost; otherwise raise RuntimeError."""
    ${downgrades if downgrades else "pass"}
