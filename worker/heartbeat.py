"""Keeps a claim alive while its slide is read, and notices when it is lost."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import structlog
from sqlalchemy import Engine

from db import leases
from db.errors import FencedError
from db.records import Claim

log = structlog.get_logger(__name__)


class Heartbeat:
    """Prolongs a claim's lease from a thread with a connection of its own.

    Use as a context manager and call `check` before anything that costs work: it raises FencedError once another
    worker holds the run, or once Postgres has not answered for a whole lease.
    """

    def __init__(self, engine: Engine, claim: Claim, *, every_s: float) -> None:
        self._engine = engine
        self._claim = claim
        self._every_s = every_s
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._answered_at = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise FencedError when the claim is lost."""
        if self._lost.is_set() or time.monotonic() - self._answered_at > self._claim.lease_s:
            raise FencedError(f"run {self._claim.run_id}: the lease of fence {self._claim.fence} is lost")

    def _beat(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                held = leases.heartbeat(self._engine, self._claim)
            except Exception as error:  # a thread that dies in silence would lose the claim
                log.warning("heartbeat failed", run_id=self._claim.run_id, error=type(error).__name__)
                continue
            if not held:
                self._lost.set()
                return
            self._answered_at = time.monotonic()
