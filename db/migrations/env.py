"""Alembic's entry: one transaction with limits, on the caller's connection or on the configured database."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from db import schema_facts
from db.config import DatabaseSettings
from db.session import make_engine, transaction


def _migrate(connection: Connection) -> None:
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))  # wait briefly, never queue the whole line behind us
    connection.execute(text("SET LOCAL statement_timeout = '15min'"))
    context.configure(
        connection=connection, target_metadata=schema_facts.metadata, include_name=schema_facts.is_modelled
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    settings = DatabaseSettings()
    if settings.database_url is None:
        raise SystemExit("MARROWLINE_DATABASE_URL is not set: say which database to migrate")
    engine = make_engine(settings.database_url.get_secret_value(), settings=settings)
    with transaction(engine) as own_connection:
        _migrate(own_connection)


_run()
