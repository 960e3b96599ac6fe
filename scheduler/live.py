"""The running line as a command sees it: whether it answers, what waits, and a connection to its database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db import pages, reports, workers
from db.errors import QueryError, SchemaError, UnavailableError
from db.session import is_passing, make_engine, transaction
from scheduler import externals
from scheduler.config import SchedulerSettings
from scheduler.embedded import stack as embedded
from scheduler.embedded.broker_login import client_at
from scheduler.embedded.home import StackError
from scheduler.embedded.resolve import Stack
from scheduler.registration import check_settings
from worker.queues import LISTS

_READY_WAIT_S = 120.0
_MOST_RESTARTS = 4
_STEADY_AFTER_S = 1.5
"""A part that cannot work has ended by then."""
_POLL_S = 0.1
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What there is to do and who does it."""

    messages: int  # doorbells that no worker has taken
    waiting: int
    reading: int
    done: int
    quarantined: int
    oldest_waiting_s: float | None
    workers: int  # seen within the last minute
    bucket: str
    reports_due: int  # patients' reports that are to be written into the bucket
    reports_given_up: int
    reports_put: int  # into the bucket, new or changed, within the last 24 h


@contextmanager
def engine_of(stack: Stack) -> Iterator[Engine]:
    """Yield an engine; an embedded database that is down runs for the block.

    Raises StackError, UnavailableError, and SchemaError where the schema is not of this version.
    """
    with embedded.database(stack) as url, _engine(url) as engine:
        yield engine


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url, pool_size=1)
    try:
        yield engine
    except (DBAPIError, QueryError) as error:
        if isinstance(error, DBAPIError) and is_passing(error):
            raise UnavailableError(f"the database does not answer: {error.orig}") from error
        if wrong := _wrong_schema(engine):
            raise SchemaError(wrong) from error
        raise
    finally:
        engine.dispose()


def _wrong_schema(engine: Engine) -> str | None:
    """Return why a statement of this version fails in this database, None where the schema is the right one."""
    from db.migrate import wrong_revision  # noqa: PLC0415 - Alembic loads slowly, and is asked after a failure only

    try:
        with transaction(engine) as conn:
            return wrong_revision(conn)
    except DBAPIError:  # a login that may not read the revision: the first error says more
        return None


def bring_up(stack: Stack, report: Callable[[str], None]) -> bool:
    """Start the stack and wait until every worker has announced itself; tell whether it had to be started.

    Raises BadRequestError when a setting cannot work, StackError when a given server cannot be reached or a part does
    not come up.
    """
    check_settings(SchedulerSettings())
    externals.require(stack)
    started = embedded.start(stack, report)
    if embedded.status(stack).other_settings:
        report("the stack was started with other MARROWLINE_* settings; `marrowline down` makes room for yours")
    report("waiting for the workers")
    until = time.monotonic() + _READY_WAIT_S
    with engine_of(stack) as engine:
        while True:
            parts = embedded.status(stack).parts
            _raise_if_failing(parts, late=time.monotonic() > until)
            steady = all(part.state == "running" and (part.uptime_s or 0) > _STEADY_AFTER_S for part in parts)
            if steady and _announced(engine, parts) >= len(stack.devices):
                return started
            time.sleep(_POLL_S)


@contextmanager
def running(stack: Stack, report: Callable[[str], None]) -> Iterator[None]:
    """Have the stack run for the block; one that was started for it is stopped after it, also when it fails.

    It stays up after Ctrl-C, when the reading is to go on, and while slides of others wait in it. Raises as `bring_up`.
    """
    started = bring_up(stack, report)
    try:
        yield
    except KeyboardInterrupt:
        raise
    except Exception:
        if started:
            _leave(stack, report)
        raise
    if started:
        _leave(stack, report)
    else:
        report("the stack was up already and stays up: `marrowline down` stops it")


def _leave(stack: Stack, report: Callable[[str], None]) -> None:
    load = look(stack)
    if load is not None and load.waiting + load.reading:
        report("other slides are being read, so the stack stays up: `marrowline down` stops it")
        return
    embedded.stop(stack.home, report)


def look(stack: Stack) -> Load | None:
    """Return what there is to do, None when database or broker do not answer now."""
    try:
        with _engine(stack.database_url) as engine, transaction(engine) as conn:
            overview, live, written = reports.overview(conn), workers.live(conn), pages.counts(conn)
            put = pages.put_within(conn, _DAY)
        messages = _messages(stack)
    except (UnavailableError, redis.RedisError):
        return None
    oldest = overview.oldest_waiting_at
    return Load(
        messages=messages,
        waiting=overview.runs.get("pending", 0) + overview.runs.get("retry_wait", 0),
        reading=overview.runs.get("running", 0),
        done=overview.runs.get("done", 0),
        quarantined=overview.runs.get("quarantined", 0),
        oldest_waiting_s=None if oldest is None else round((datetime.now(UTC) - oldest).total_seconds(), 1),
        workers=live,
        bucket=stack.bucket,
        reports_due=written.due,
        reports_given_up=written.given_up,
        reports_put=put,
    )


def _messages(stack: Stack) -> int:
    client = client_at(stack.broker_url)
    try:
        return sum(int(client.llen(name)) for name in LISTS.values())
    finally:
        client.close()


def _announced(engine: Engine, parts: tuple[embedded.PartStatus, ...]) -> int:
    """Return how many worker processes wrote to the database since the youngest worker part was started."""
    uptimes = [part.uptime_s for part in parts if part.name.startswith("worker") and part.uptime_s is not None]
    if not uptimes:
        return 0
    with transaction(engine) as conn:
        return workers.live(conn, within_s=min(60.0, *uptimes))


def _raise_if_failing(parts: tuple[embedded.PartStatus, ...], *, late: bool) -> None:
    for part in parts:
        if part.refusal and part.state != "running":
            raise StackError(f"{part.name} does not start: {part.refusal}; then `marrowline down` and `up`")
        if part.restarts >= _MOST_RESTARTS or (late and part.state != "running"):
            raise StackError(f"{part.name} does not stay up ({part.last_end or 'no answer'}): see {part.log}")
    if late:
        logs = ", ".join(part.log for part in parts if part.name.startswith("worker"))
        raise StackError(f"no worker announced itself within {_READY_WAIT_S:.0f} s: see {logs}")
