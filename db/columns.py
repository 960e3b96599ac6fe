"""The columns that many tables share, and the metadata with its names for constraints.

Times are the database's own clock, in UTC. Planes of coordinates: see `worker/geometry.py`; here only `_l0`,
level-0 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Integer, MetaData, Text, func, text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def own_id() -> Column[int]:
    """Return the surrogate key that most tables have."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def words(name: str, *, empty: bool = False) -> Column[str]:
    """Return a text column that is never NULL; with `empty` it defaults to ''."""
    return Column(name, Text, nullable=False, server_default=text("''") if empty else None)


def moment(name: str, *, default: bool = True) -> Column[datetime]:
    """Return a column for a time; with `default` it is filled by the database's clock and never NULL."""
    return Column(name, DateTime(timezone=True), nullable=not default, server_default=func.now() if default else None)


def count(name: str) -> Column[int]:
    """Return a column for a number that starts at 0."""
    return Column(name, Integer, nullable=False, server_default=text("0"))


def one_of(column: str, values: Iterable[str], *, name: str | None = None) -> CheckConstraint:
    """Return the constraint that only these words may stand in the column."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name or column)
