"""Whether the webhook can take events now, for whoever looks after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db import inbox
from db.errors import DatabaseError
from db.session import transact
from scheduler.registration import told

log = structlog.get_logger(__name__)

_GOOD_FOR_S = 1.0
_PATIENCE_S = 1.0
_HEARD_FOR_S = 5.0
"""How long what was last heard is told on beyond that, while a question has no answer yet."""


class Readiness:
    """Asks the inbox at most once a second, and one question at a time: whoever looks shows no credentials."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._asking = threading.Lock()
        self._ready = False
        self._good_until = float("-inf")

    def now(self) -> bool:
        """Tell whether the inbox answers; what was last heard, if not long ago, while somebody else asks."""
        if self._clock() >= self._good_until and self._asking.acquire(blocking=False):
            try:
                self._ready = self._asked()
                self._good_until = self._clock() + _GOOD_FOR_S
            finally:
                self._asking.release()
        return self._ready and self._clock() < self._good_until + _HEARD_FOR_S

    def _asked(self) -> bool:
        try:
            transact(self._engine, lambda conn: inbox.is_full(conn, 0), patience_s=_PATIENCE_S)
        except (DatabaseError, DBAPIError, PoolTimeoutError) as error:
            log.warning("the inbox is away", error=told(error))
            return False
        return True
