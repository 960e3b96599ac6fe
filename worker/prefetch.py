"""Brings the slide that is likely next onto this machine while the present one is read.

Which one that is may be wrong, and another worker may take it: all that is lost then is a copy in the cache.
"""

from __future__ import annotations

import threading

import structlog
from sqlalchemy import Engine

from db import leases
from db.errors import DatabaseError
from worker.staging import CacheSpec, prefetch
from worker.storage import ObjectStore

log = structlog.get_logger(__name__)


class Prefetcher:
    """Fetches one slide at a time in a thread of its own; nothing waits for it, and nothing depends on it."""

    def __init__(self, engine: Engine, store: ObjectStore, cache: CacheSpec) -> None:
        self._engine = engine
        self._store = store
        self._cache = cache
        self._busy = threading.Lock()

    def start(self) -> None:
        """Begin to fetch the slide that is likely next, unless one is being fetched."""
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._fetch, name="prefetch", daemon=True).start()

    def _fetch(self) -> None:
        try:
            wanted = leases.likely_next(self._engine)
            if wanted is not None:
                obj, files = wanted
                prefetch(self._store, obj, self._cache, files=files)
        except (DatabaseError, OSError) as error:
            log.warning("could not prefetch", error=type(error).__name__)
        finally:
            self._busy.release()
