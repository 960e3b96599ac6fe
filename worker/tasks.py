"""Celery glue: a task takes an id and calls one function, read_run() or write_page()."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import sys
import threading
from functools import lru_cache
from typing import Any

import structlog
from celery import Celery, signals

from db import workers
from db.config import DatabaseSettings
from db.session import make_engine
from worker import queues
from worker.config import QueueSettings, StoreSettings, WorkerSettings
from worker.devices import refuse_absent
from worker.errors import BadRequestError
from worker.nets import cards
from worker.nets.device import is_broken_by
from worker.nets.registry import load
from worker.prefetch import Prefetcher
from worker.read_run import Bench, read_run
from worker.slides.sandbox.probe import reached_level
from worker.slides.sandbox.spec import Level
from worker.staging import CacheSpec
from worker.storage import open_store
from worker.write_page import LEASE_S, write_page

log = structlog.get_logger(__name__)

_SEEN_EVERY_S = 15.0
_PR_SET_PDEATHSIG = 1
_stopping = mmap.mmap(-1, 1)  # anonymous and shared: the main process sets it, its children read it


def create_app(settings: WorkerSettings | None = None) -> Celery:
    """Return the Celery application with its tasks; children of its worker do one at a time.

    Raises MarrowlineError when a setting is absent, a weight file is altered or the device is not there.
    """
    settings = settings or WorkerSettings()
    _refuse_what_cannot_work(settings)
    app = queues.make_app(
        QueueSettings().broker_url.get_secret_value(),
        time_limit_s=settings.slide_time_limit_s,
        max_tasks_per_child=settings.max_tasks_per_child,
    )

    app.task(name=queues.READ_SLIDE)(_read_slide)
    app.task(name=queues.WRITE_PAGE, time_limit=LEASE_S)(_write_page)
    signals.worker_shutting_down.connect(_on_shutdown, weak=False)
    signals.worker_process_init.connect(_on_child_start, weak=False)
    return app


def _refuse_what_cannot_work(settings: WorkerSettings) -> None:
    """Raise MarrowlineError when no slide could be read: a worker that starts all the same would eat messages."""
    if DatabaseSettings().database_url is None:
        raise BadRequestError("MARROWLINE_DATABASE_URL is not set: start with `marrowline up`, or name the server")
    open_store(StoreSettings())
    for name in cards.names(settings.models_dir):
        cards.describe(name, settings.models_dir)
    reached_level(Level(settings.sandbox))
    refuse_absent([settings.device])


def _read_slide(run_id: object) -> None:
    if not isinstance(run_id, int):
        log.error("refused a message that is not a run id")
        return
    try:
        read_run(run_id, _bench())
    except Exception as error:
        if is_broken_by(error):  # read_run has noted the try; nothing that this process could still do would succeed
            log.critical("the device is broken for this process", run_id=run_id, error=type(error).__name__)
            os._exit(1)
        raise


def _write_page(patient_id: object) -> None:
    if not isinstance(patient_id, int):
        log.error("refused a message that is not a patient's number")
        return
    write_page(patient_id, _bench())


@lru_cache(maxsize=1)
def _bench() -> Bench:
    """Return this child's equipment; made on first use, because neither CUDA nor connections survive a fork."""
    settings, store_settings, database = WorkerSettings(), StoreSettings(), DatabaseSettings()
    assert database.database_url is not None  # noqa: S101 - create_app refused to start without
    engine = make_engine(database.database_url.get_secret_value(), pool_size=4, settings=database)
    store = open_store(store_settings)
    cache = CacheSpec(
        folder=store_settings.cache_dir,
        max_bytes=store_settings.cache_max_bytes,
        reserve_bytes=store_settings.cache_reserve_bytes,
    )
    return Bench(
        engine=engine,
        store=store,
        cache=cache,
        prefetcher=Prefetcher(engine, store, cache) if settings.prefetch else None,
        settings=settings,
        worker_id=f"{socket.gethostname()}:{os.getpid()}",
        load_model=lru_cache(maxsize=2)(lambda name: load(name, settings.models_dir, settings.device)),
        stopping=lambda: _stopping[0] != 0,
    )


def _on_shutdown(**_: Any) -> None:
    _stopping[0] = 1


def _on_child_start(**_: Any) -> None:
    if sys.platform == "linux":  # a child never outlives its main process, so nothing is read twice at once
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_announce, name="announce", daemon=True).start()


def _announce() -> None:
    """Tell the scheduler, through the database, that this worker lives."""
    bench = _bench()
    pause = threading.Event()
    while True:
        try:
            workers.seen(bench.engine, bench.worker_id, socket.gethostname(), bench.settings.device)
        except Exception as error:  # a thread that dies in silence would make the worker look dead
            log.warning("could not announce this worker", error=type(error).__name__)
        pause.wait(_SEEN_EVERY_S)
