"""Checks of the database, the broker and the bucket, whether our own or given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db import migrate
from db.session import make_engine, transaction
from scheduler.checks.result import Check, failed, ok, warning
from scheduler.embedded import servers
from scheduler.embedded.broker_login import client_at
from scheduler.embedded.home import StackError
from scheduler.embedded.orphans import living_supervisor
from scheduler.embedded.resolve import Stack
from scheduler.externals import bucket_trouble, cause_of, fix, without_login
from scheduler.packages import install

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
    except DBAPIError as error:
        return failed("postgres", cause_of(error), _fix("MARROWLINE_DATABASE_URL", ours=stack.own_postgres))
    finally:
        engine.dispose()
    found = f"version {version} at {'our own socket' if stack.own_postgres else without_login(stack.database_url)}"
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
    where = "our own socket" if stack.own_redis else without_login(stack.broker_url)
    found = f"version {facts['redis_version']} at {where}"
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return warning("redis", f"{found}, maxmemory-policy {policy}", "set maxmemory-policy noeviction")
    return ok("redis", found)


def bucket(stack: Stack) -> Check:
    """Check that the bucket answers a listing."""
    if stack.own_bucket and not stack.home.bucket.is_dir():
        return ok("bucket", f"{stack.bucket}, made by the first `marrowline up`")
    if cause := bucket_trouble(stack):
        return failed("bucket", cause, fix("MARROWLINE_BUCKET"))
    if "://" not in stack.bucket and not os.access(stack.bucket, os.W_OK):
        return warning("bucket", f"{stack.bucket} is read-only", "`marrowline run` cannot put slides there")
    return ok("bucket", stack.bucket)


def _program(name: str, find: Callable[[], str]) -> Check:
    """Check that a wheel's server program runs on this machine."""
    other = f"{install('embedded')}, or name external servers by MARROWLINE_DATABASE_URL and _BROKER_URL"
    try:
        answer = subprocess.run(
            (find(), "--version"), capture_output=True, text=True, timeout=_ANSWER_WAIT_S, check=True
        )
    except (StackError, OSError, subprocess.SubprocessError) as error:
        return failed(name, str(error), other)
    version = " ".join(answer.stdout.split()[:3])
    return ok(name, f"{version}, not started")


def _fix(setting: str, *, ours: bool) -> str:
    return "marrowline down, then marrowline up; its log is under logs/" if ours else fix(setting)
