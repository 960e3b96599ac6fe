"""The servers that are given instead of our own: where each is, and whether it can be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass

import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.session import make_engine, transaction
from scheduler.embedded.broker_login import client_at
from scheduler.embedded.home import StackError
from scheduler.embedded.resolve import Stack
from worker.errors import MarrowlineError
from worker.storage import open_store


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """A given server that cannot be used now."""

    name: str  # postgres | redis | bucket
    address: str  # without user and password
    cause: str
    fix: str

    def __str__(self) -> str:
        return f"{self.name} at {self.address} cannot be reached: {self.cause}; {self.fix}"


def unreachable(stack: Stack) -> tuple[Unreachable, ...]:
    """Ask each given server once; return those that do not answer as they should. Takes seconds where one is silent."""
    asked = (
        ("postgres", stack.own_postgres, stack.database_url, "MARROWLINE_DATABASE_URL", _database_trouble),
        ("redis", stack.own_redis, stack.broker_url, "MARROWLINE_BROKER_URL", _broker_trouble),
        ("bucket", stack.own_bucket, stack.bucket, "MARROWLINE_BUCKET", bucket_trouble),
    )
    found = []
    for name, ours, address, setting, trouble in asked:
        if not ours and (cause := trouble(stack)):
            found.append(Unreachable(name=name, address=without_login(address), cause=cause, fix=fix(setting)))
    return tuple(found)


def require(stack: Stack) -> None:
    """Raise StackError naming every given server that cannot be reached."""
    if away := unreachable(stack):
        raise StackError("\n".join(map(str, away)))


def without_login(url: str) -> str:
    """Return an address without its user, its password and its options, any of which may be secret."""
    return re.sub(r"//.*@", "//", url, flags=re.DOTALL).partition("?")[0]


def fix(setting: str) -> str:
    """Return what to do about a given server that cannot be reached."""
    more = ", MARROWLINE_S3_ENDPOINT and the keys" if setting == "MARROWLINE_BUCKET" else ""
    return f"start it, or correct {setting}{more}"


def cause_of(error: DBAPIError) -> str:
    """Return what the database or its driver says, in one line."""
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def bucket_trouble(stack: Stack) -> str:
    """Return why the bucket cannot be listed, nothing when it can."""
    try:
        next(iter(open_store(stack.store_settings).list()), None)
    except MarrowlineError as error:
        return str(error)
    except OSError as error:  # a folder that this user may not enter
        return error.strerror or type(error).__name__
    return ""


def _database_trouble(stack: Stack) -> str:
    engine = make_engine(stack.database_url, pool_size=1)
    try:
        with transaction(engine) as conn:
            conn.execute(text("SELECT 1"))
    except DBAPIError as error:
        return cause_of(error)
    finally:
        engine.dispose()
    return ""


def _broker_trouble(stack: Stack) -> str:
    client = client_at(stack.broker_url)
    try:
        client.ping()
    except redis.RedisError as error:
        return str(error)
    finally:
        client.close()
    return ""
