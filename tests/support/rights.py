"""What every role may do to every table, found out by trying each statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from psycopg2.errors import Error
from sqlalchemy import Connection, Engine, event

from db.session import make_engine

ROLES = {
    "scheduler": "marrowline_scheduler",
    "worker": "marrowline_worker",
    "report": "marrowline_report",
    "lab": "marrowline_lab_tried",
    "webhook": "marrowline_webhook",
    "stranger": "marrowline_stranger",
}
"""Name in the table of rights: role that tries. `lab` is a laboratory's reader, `stranger` a login without a group."""
_MAKE = (
    "DO $$ BEGIN CREATE ROLE marrowline_lab_tried NOLOGIN IN ROLE marrowline_lab;"
    " CREATE ROLE marrowline_stranger NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
)
_COLUMNS = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
      FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = %s::regnamespace AND c.relkind = ANY (%s) GROUP BY c.relname ORDER BY c.relname
"""
_REFUSED = "42501"


def columns(conn: Connection, schema: str, kinds: str = "rp") -> Mapping[str, list[str]]:
    """Return the columns of every relation of a schema, as the catalogue has them."""
    return {row[0]: row[1] for row in conn.exec_driver_sql(_COLUMNS, (schema, list(kinds)))}


def acting_as(url: str, role: str) -> Engine:
    """Return an engine whose every transaction runs as the role; dispose of it."""
    engine = make_engine(url)
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(f"SET LOCAL ROLE {role}"))
    return engine


@contextmanager
def attempts(engine: Engine) -> Iterator[Connection]:
    """Yield a connection on which roles may be tried; nothing of it is kept, but the two roles."""
    with engine.connect() as conn:
        conn.exec_driver_sql(_MAKE)
        conn.commit()
        yield conn
        conn.rollback()


def may(conn: Connection, role: str, statement: str) -> bool:
    """Tell whether the server refuses the statement for want of rights, whatever else may be wrong with it."""
    raw = conn.connection.cursor()
    raw.execute(f"SAVEPOINT attempt; SET LOCAL ROLE {ROLES[role]}")
    try:
        raw.execute(statement)
    except Error as error:
        return error.pgcode != _REFUSED
    finally:
        raw.execute("ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
        raw.close()
    return True


def of_table(conn: Connection, role: str, table: str, names: list[str]) -> str:
    """Return the letters of what a role may do: R I U D T; r, i and u with the columns where it is not all of them."""
    read = [name for name in names if may(conn, role, f"SELECT {name} FROM public.{table} LIMIT 0")]
    changed = [name for name in names if may(conn, role, f"UPDATE public.{table} SET {name} = DEFAULT WHERE false")]
    put = [name for name in names if may(conn, role, f"INSERT INTO public.{table} ({name}) VALUES (DEFAULT)")]
    found = _some("R", read, names)
    found += _some("I", put, names)
    found += _some("U", changed, names)
    found += "D" if may(conn, role, f"DELETE FROM public.{table} WHERE false") else ""
    found += "T" if may(conn, role, f"TRUNCATE public.{table}") else ""
    return found or "-"


def _some(letter: str, allowed: list[str], names: list[str]) -> str:
    if allowed == names:
        return letter
    return f"{letter.lower()}({','.join(allowed)})" if allowed else ""
