"""Hands commands what looks at slides: functions of the worker, found by name so that no pixels are loaded here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from scheduler.embedded.resolve import Stack
from scheduler.live import engine_of
from scheduler.packages import install
from worker.config import StoreSettings, WorkerSettings
from worker.errors import BadRequestError
from worker.staging import CacheSpec
from worker.storage import open_store
from worker.workshop import Workshop

GROUP = "marrowline.workshop"


@contextmanager
def workshop_of(stack: Stack) -> Iterator[Workshop]:
    """Yield the stack's database, bucket and cache; an embedded database that is down runs for the block.

    Raises StackError, UnavailableError, BadRequestError for a bucket that cannot be one.
    """
    settings = StoreSettings()
    with engine_of(stack) as engine:
        yield Workshop(
            engine=engine,
            store=open_store(stack.store_settings),
            cache=CacheSpec(
                folder=stack.cache_dir,
                max_bytes=settings.cache_max_bytes,
                reserve_bytes=settings.cache_reserve_bytes,
            ),
            models_dir=stack.models_dir,
            settings=WorkerSettings(),
        )


def parts(prefix: str) -> tuple[str, ...]:
    """Return the names of the worker's functions that begin so, without that beginning."""
    names = (name for name in entry_points(group=GROUP).names if name.startswith(prefix))
    return tuple(sorted(name.removeprefix(prefix) for name in names))


def part(name: str) -> Callable[..., Any]:
    """Return one of the worker's functions. Raises BadRequestError when packages that it needs are not installed."""
    (point,) = entry_points(group=GROUP, name=name)
    try:
        found: Callable[..., Any] = point.load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("db", "scheduler", "worker"):
            raise
        raise BadRequestError(f"{error.name} is not installed: {install('worker')}") from error
    return found
