"""Reads the report views into values. Research use only, not for diagnostic procedures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, column, select, table

T = TypeVar("T")


def read_view(
    conn: Connection,
    kind: type[T],
    view: str,
    wanted: Mapping[str, object],
    order: tuple[str, ...],
    *,
    limit: int | None = None,
    offset: int = 0,
) -> list[T]:
    """Return the rows of a view, whose columns are the fields of `kind`, a dataclass, that equal all that is wanted.

    None is wanted where any value is right; of a list, one of its values. Only such plain comparisons reach below the
    barrier of a view.
    """
    shape: Any = kind
    names = [field.name for field in fields(shape)]
    source = table(view, *(column(name) for name in {*names, *wanted}), schema="report")
    told = [(source.c[name], value) for name, value in wanted.items() if value is not None]
    statement = select(*(source.c[name] for name in names)).where(
        *(of.in_(value) if isinstance(value, list) else of == value for of, value in told)
    )
    statement = statement.order_by(*(source.c[name] for name in order)).limit(limit).offset(offset)
    return [kind(**row._mapping) for row in conn.execute(statement)]
