"""The database of a command that also makes sense where there is none yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from db import migrate
from scheduler.embedded import servers
from scheduler.embedded.resolve import Stack
from scheduler.live import engine_of


@contextmanager
def database(stack: Stack) -> Iterator[Engine | None]:
    """Yield the database, None where the embedded one was never started."""
    if stack.own_postgres and not servers.has_cluster(stack.home):
        yield None
        return
    with engine_of(stack) as engine:
        upgrade_own(stack, engine)
        yield engine


def upgrade_own(stack: Stack, engine: Engine) -> None:
    """Bring an embedded database up to date, as `marrowline up` would; another one waits for `db upgrade`."""
    if stack.own_postgres:
        migrate.upgrade(engine)
