"""Tells trouble with single objects, which must stop no other, from a server that is away or lets nobody in."""

from __future__ import annotations

import hashlib

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, IntegrityError

from db.errors import NotAllowedError
from db.models import active_model
from db.session import transact
from scheduler.registration import PATIENCE_S, Door, told
from worker.errors import ServiceError

log = structlog.get_logger(__name__)

OF_ONE_OBJECT = (ServiceError, NotAllowedError, DataError, IntegrityError)
"""Errors that one object alone may cause; they may as well come of the server."""
_IN_SUCCESSION = 3


class Failures:
    """The objects that one comparison could not deal with."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._in_succession = 0
        self.count = 0

    def note(self, key: str, error: ServiceError | NotAllowedError | DataError | IntegrityError) -> None:
        """Count and log a failure; after every third in succession ask whether the server itself is there.

        Raises what that question raises: ServiceError when the bucket cannot be listed, UnavailableError,
        NotAllowedError without an active model.
        """
        self.count += 1
        self._in_succession += 1
        log.warning("failed for this object", object=name_in_logs(key), error=told(error))
        if self._in_succession < _IN_SUCCESSION:
            return
        if isinstance(error, ServiceError):
            next(iter(self._door.store.list()), None)
        else:
            transact(self._door.engine, _ask, patience_s=PATIENCE_S)
        self._in_succession = 0

    def interrupted(self) -> None:
        """Note that an object could be dealt with."""
        self._in_succession = 0


def name_in_logs(key: str) -> str:
    """Return a short name of a key that tells nothing of it: the start of its SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _ask(conn: Connection) -> None:
    conn.execute(text("SELECT 1"))
    if active_model(conn) is None:
        raise NotAllowedError("no model version is active")
