"""What a command needs to look at stored slides once more: the database, the bucket and the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from worker.config import WorkerSettings
from worker.staging import CacheSpec
from worker.storage import ObjectStore

Tell = Callable[[str, int, int], None]
"""Takes progress: what is being done, how much of it is done, of how much."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """The opened parts of a stack."""

    engine: Engine
    store: ObjectStore
    cache: CacheSpec
    models_dir: Path
    settings: WorkerSettings
