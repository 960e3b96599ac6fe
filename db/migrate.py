"""Bring the schema up to date, and say where it differs from the models.

The report views are dropped, the tables migrated, the views made again and the rights granted, all in one
transaction: a view left in place would block every change of a column below it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from db import schema_facts
from db.session import transaction

HERE = Path(__file__).parent
_DROP_VIEWS = text("DROP SCHEMA IF EXISTS report CASCADE; DROP VIEW IF EXISTS public.run_count_effective")
_UPGRADE = "run `marrowline db upgrade`"
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('marrowline schema', 0))")


def upgrade(engine: Engine) -> None:
    """Migrate to the newest revision, then views and grants; harmless when nothing is to be done.

    Raises what Postgres or the migration raises; then nothing has changed.
    """
    with transaction(engine) as conn:
        conn.execute(_LOCK)
        conn.execute(text("SELECT set_config('statement_timeout', '15min', true)"))
        if current_revision(conn) == head_revision() and _views_stamp(conn) == _digest():
            return
        conn.execute(_DROP_VIEWS)
        command.upgrade(_config(conn), "head")
        _make_views(conn)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Go back to an older revision; refused (RuntimeError) where a row would be lost. The views stay away."""
    with transaction(engine) as conn:
        conn.execute(_LOCK)
        conn.execute(_DROP_VIEWS)
        command.downgrade(_config(conn), revision)


def check(engine: Engine) -> list[str]:
    """Return in words how the database differs from the models and files; empty when it does not."""
    with transaction(engine) as conn:
        if wrong := wrong_revision(conn):
            return [wrong]
        context = MigrationContext.configure(conn, opts={"include_name": schema_facts.is_modelled})
        found = [str(difference) for difference in compare_metadata(context, schema_facts.metadata)]
        found += schema_facts.missing(conn)
        if _views_stamp(conn) != _digest():
            found.append("the report views are not those of this version: run `marrowline db upgrade`")
        return found


def current_revision(conn: Connection) -> str | None:
    """Return the revision that the database is at, None for an empty one."""
    return MigrationContext.configure(conn).get_current_revision()


def head_revision() -> str | None:
    """Return the newest revision that this version knows."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def wrong_revision(conn: Connection) -> str | None:
    """Return what is wrong when the schema is not of this version, and what to do about it; None when it is."""
    current, head = current_revision(conn), head_revision()
    if current is None:
        return f"the database has no schema yet: {_UPGRADE}"
    return None if current == head else f"schema is at revision {current}, the newest is {head}: {_UPGRADE}"


def run_script(conn: Connection, script: str) -> None:
    """Run a script of several statements as it stands: neither `:name` nor `%` is a parameter in it."""
    conn.exec_driver_sql(script, execution_options={"no_parameters": True})


def _config(conn: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations").replace("%", "%%"))
    config.attributes["connection"] = conn
    return config


def _scripts() -> list[Path]:
    return [HERE / "counting.sql", *sorted((HERE / "views").glob("*.sql")), HERE / "roles.sql"]


def _digest() -> str:
    whole = b"\0".join(path.read_bytes() for path in _scripts())
    return hashlib.sha256(whole).hexdigest()


def _make_views(conn: Connection) -> None:
    run_script(conn, "CREATE SCHEMA report")
    for path in _scripts():
        run_script(conn, path.read_text(encoding="utf-8"))
    run_script(conn, f"COMMENT ON SCHEMA report IS 'marrowline report views {_digest()}'")


def _views_stamp(conn: Connection) -> str | None:
    stamp = conn.execute(text("SELECT obj_description(to_regnamespace('report'), 'pg_namespace')")).scalar()
    return str(stamp).rsplit(" ", 1)[-1] if stamp else None
