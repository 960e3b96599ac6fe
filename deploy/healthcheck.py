"""Whether the part of this container works; exit code 0 or 1, for the image's HEALTHCHECK.

A worker must have told the database within the last minute that it lives: a process that hangs does not. A scheduler
must reach a database of this version's schema, and the broker. A webhook must answer, and reach its inbox.
"""

from __future__ import annotations

import socket
import sys
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from db import inbox
from db.config import DatabaseSettings
from db.migrate import wrong_revision
from db.run_tables import worker
from db.session import make_engine, transaction
from scheduler.config import WebhookSettings
from scheduler.events.webhook import HEALTH
from worker.config import QueueSettings

_SILENT = timedelta(seconds=60)


def worker_problem(engine: Engine, host: str) -> str | None:
    """Return why the worker on this host counts as dead, None when it lives. Raises DBAPIError."""
    with transaction(engine) as conn:
        seen = conn.execute(select(func.max(worker.c.seen_at)).where(worker.c.host == host)).scalar_one()
        now = conn.execute(select(func.now())).scalar_one()
    if seen is None:
        return "the worker has not announced itself"
    return f"the worker was last seen at {seen}" if now - seen > _SILENT else None


def scheduler_problem(engine: Engine, broker_url: str) -> str | None:
    """Return why the scheduler cannot work, None when it can. Raises DBAPIError and RedisError."""
    with transaction(engine) as conn:
        if wrong := wrong_revision(conn):
            return wrong
    with Redis.from_url(broker_url, socket_timeout=5, socket_connect_timeout=5) as broker:
        broker.ping()
    return None


def webhook_problem(engine: Engine, port: int) -> str | None:
    """Return why no event can be taken, None when it can. Raises DBAPIError."""
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", HEALTH)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"nothing answers on port {port}: {type(error).__name__}"
    finally:
        connection.close()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "the webhook cannot reach its inbox: look at its database"
    if status != HTTPStatus.OK:
        return f"what answers on port {port} is not the webhook: status {status}"
    with transaction(engine) as conn:
        inbox.is_full(conn, 0)
    return None


def main(part: str) -> int:
    """Check `worker`, `scheduler` or `webhook`; say on stderr what is wrong."""
    try:
        url = DatabaseSettings().database_url
        if url is None:
            problem: str | None = "MARROWLINE_DATABASE_URL is not set"
        else:
            problem = _problem(part, make_engine(url.get_secret_value(), pool_size=1))
    except (DBAPIError, RedisError) as error:
        problem = f"a server does not answer: {type(error).__name__}"
    if problem is None:
        return 0
    sys.stderr.write(problem + "\n")
    return 1


def _problem(part: str, engine: Engine) -> str | None:
    if part == "worker":
        return worker_problem(engine, socket.gethostname())
    if part == "webhook":
        return webhook_problem(engine, WebhookSettings().webhook_port)
    return scheduler_problem(engine, QueueSettings().broker_url.get_secret_value())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
