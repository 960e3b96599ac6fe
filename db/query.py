"""A reader's own SQL, as the reporting role: one query, read only, with a limit on its time and size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from db.errors import QueryError, UnavailableError
from db.session import is_passing, transaction

_ROLE = text("SET LOCAL ROLE marrowline_report")
_READ_ONLY = text("SET TRANSACTION READ ONLY")
_LIMITS = text(
    "SELECT set_config('statement_timeout', :timeout, true), set_config('search_path', 'report', true),"
    " set_config('marrowline.query', :query, true)"
)
# The reader's text is never sent as a statement of ours: OPEN takes exactly one query that returns rows, and in a
# DO block no transaction can be ended, so that neither "; COMMIT; DELETE ..." nor a write gets through.
_OPEN = text(
    "DO $$ DECLARE answer refcursor := 'answer'; BEGIN OPEN answer FOR EXECUTE"
    " current_setting('marrowline.query'); END $$"
)

Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query returns, read from the server as it is used up, so that its size costs no memory."""

    columns: tuple[str, ...]
    kinds: tuple[int, ...]  # the columns' types, as the numbers that Postgres gives to its own
    parts: Iterator[list[Row]]


def query(
    engine: Engine, sql: str, *, timeout_s: float = 30.0, max_rows: int = 100_000
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and rows of one read-only query over schema report.

    Raises as `answered` does, and QueryError when it returns more than `max_rows`.
    """
    with answered(engine, sql, timeout_s=timeout_s, at_once=max_rows + 1) as answer:
        rows = next(answer.parts)
    if len(rows) > max_rows:
        raise QueryError(f"more than {max_rows} rows: add a LIMIT or aggregate, or write them into a file")
    return list(answer.columns), rows


@contextmanager
def answered(engine: Engine, sql: str, *, timeout_s: float = 30.0, at_once: int = 5000) -> Iterator[Answer]:
    """Yield the answer to one read-only query over schema report, in parts of `at_once` rows; there is at least one.

    On a connection that may do more than the reporting role this guards against mistakes; against ill will, give
    an engine whose login user is a member of that role only (`MARROWLINE_REPORT_URL`).
    Raises QueryError when Postgres refuses it or a part takes longer than `timeout_s`, UnavailableError when Postgres
    is away; while the parts are read too.
    """
    limits = {"timeout": f"{round(timeout_s * 1000)}ms", "query": sql.strip().removesuffix(";")}
    try:
        with transaction(engine) as conn:
            for statement in (_READ_ONLY, _ROLE):
                conn.execute(statement)
            conn.execute(_LIMITS, limits)
            conn.execute(_OPEN)
            yield _answer(conn, at_once)
    except DBAPIError as exc:
        if is_passing(exc):
            raise UnavailableError("Postgres is not usable now") from exc
        raise QueryError(str(exc.orig).strip().splitlines()[0]) from exc


def _answer(conn: Connection, at_once: int) -> Answer:
    first = conn.exec_driver_sql(f"FETCH {at_once:d} FROM answer")
    described: Any = first.cursor.description if first.cursor else ()
    kinds = tuple(int(column[1]) for column in described)
    return Answer(columns=tuple(first.keys()), kinds=kinds, parts=_parts(conn, [tuple(row) for row in first], at_once))


def _parts(conn: Connection, part: list[Row], at_once: int) -> Iterator[list[Row]]:
    yield part
    while len(part) == at_once:
        part = [tuple(row) for row in conn.exec_driver_sql(f"FETCH {at_once:d} FROM answer")]
        if part:
            yield part
