"""A reader's own SQL, as the reporting role: one query, read only, with a limit on its time and size."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text
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


def query(
    engine: Engine, sql: str, *, timeout_s: float = 30.0, max_rows: int = 100_000
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and rows of one read-only query over schema report.

    On a connection that may do more than the reporting role this guards against mistakes; against ill will, give
    an engine whose login user is a member of that role only (`MARROWLINE_REPORT_URL`).
    Raises QueryError when Postgres refuses it, it takes longer than `timeout_s` or returns more than `max_rows`;
    UnavailableError when Postgres is away.
    """
    limits = {"timeout": f"{round(timeout_s * 1000)}ms", "query": sql.strip().removesuffix(";")}
    try:
        with transaction(engine) as conn:
            for statement in (_READ_ONLY, _ROLE):
                conn.execute(statement)
            conn.execute(_LIMITS, limits)
            conn.execute(_OPEN)
            answer = conn.exec_driver_sql(f"FETCH {max_rows + 1:d} FROM answer")
            columns, rows = list(answer.keys()), [tuple(row) for row in answer]
    except DBAPIError as exc:
        if is_passing(exc):
            raise UnavailableError("Postgres is not usable now") from exc
        raise QueryError(str(exc.orig).strip().splitlines()[0]) from exc
    if len(rows) > max_rows:
        raise QueryError(f"more than {max_rows} rows: add a LIMIT or aggregate")
    return columns, rows
