"""Engines, transactions, and trying again when the trouble is passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from json import dumps
from typing import Any, TypeVar

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from db.config import DatabaseSettings
from db.errors import NotAllowedError, UnavailableError

T = TypeVar("T")

STEP_REFUSED = "ML001"
"""SQLSTATE that the triggers raise."""
_CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "marrowline",
}
_LIMITS = text(
    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true)"
)
_PASSING = frozenset({"40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03"})
"""Serialization failure, deadlock, lock not available, too many connections, server stopping or starting."""


def make_engine(url: str, *, pool_size: int = 2, settings: DatabaseSettings | None = None) -> Engine:
    """Return an engine for one process; after a fork, make a new one.

    Limits are set inside each transaction, not on the session, so that a pooler in transaction mode may stand
    between. JSON with NaN or infinity is refused with ValueError.
    """
    settings = settings or DatabaseSettings()
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        connect_args=_CONNECT,
        hide_parameters=True,  # they may hold pseudonyms
        json_serializer=partial(dumps, allow_nan=False),
    )
    seconds = {
        "statement": settings.statement_timeout_s,
        "lock": settings.lock_timeout_s,
        "idle": settings.idle_timeout_s,
    }
    limits = {name: f"{round(limit * 1000)}ms" for name, limit in seconds.items()}

    @event.listens_for(engine, "begin")
    def _limit(connection: Connection) -> None:
        connection.execute(_LIMITS, limits)

    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commit what the block does, or nothing of it.

    Raises NotAllowedError when a trigger refuses a step of the state machine.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as exc:
        if sqlstate(exc) == STEP_REFUSED:
            raise NotAllowedError(str(exc.orig).splitlines()[0]) from exc
        raise


def retrying(work: Callable[[], T], *, patience_s: float = 30.0) -> T:
    """Call `work`, a whole transaction that may be repeated, until no passing trouble stops it.

    Waits with jitter between tries. Raises UnavailableError when the trouble outlasts `patience_s`.
    """
    tries = Retrying(
        retry=retry_if_exception(is_passing),
        wait=wait_random_exponential(multiplier=0.05, max=3.0),
        stop=stop_after_delay(patience_s),
        reraise=True,
    )
    try:
        return tries(work)
    except (DBAPIError, psycopg2.Error) as exc:
        if is_passing(exc):
            raise UnavailableError(f"Postgres was not usable for {patience_s:.0f} s: {sqlstate(exc)}") from exc
        raise


def transact(engine: Engine, work: Callable[[Connection], T], *, patience_s: float = 30.0) -> T:
    """Do the work as one transaction, again from its start when only passing trouble stopped it.

    A commit's answer may be lost, so the work must find its own effect harmless. Raises as `retrying` does.
    """

    def once() -> T:
        with transaction(engine) as conn:
            return work(conn)

    return retrying(once, patience_s=patience_s)


def is_passing(exc: BaseException) -> bool:
    """Tell whether the same transaction may well succeed a moment later."""
    if not isinstance(exc, DBAPIError | psycopg2.Error):
        return False
    if isinstance(exc, DBAPIError) and exc.connection_invalidated:
        return True
    code = sqlstate(exc)
    if code is None or code.startswith("08"):  # no answer at all, or the connection broke
        cause: Any = exc.orig if isinstance(exc, DBAPIError) else exc
        return isinstance(cause, psycopg2.OperationalError | psycopg2.InterfaceError)
    return code in _PASSING


def sqlstate(exc: BaseException) -> str | None:
    """Return the SQLSTATE of an error of SQLAlchemy or psycopg2, None when the server gave none."""
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    code = getattr(cause, "pgcode", None)
    return code if isinstance(code, str) else None
