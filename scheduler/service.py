"""The scheduler's loop: listen for slides, sweep, and outlive the absence of everything it talks to."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.config import DatabaseSettings
from db.counts import Decide
from db.errors import DatabaseError
from db.session import make_engine
from scheduler.config import SchedulerSettings
from scheduler.doorbell import CeleryDoorbell, Doorbell
from scheduler.events.source import EventSource
from scheduler.events.sources import default_sources
from scheduler.registration import Door, check_settings, told
from scheduler.status import Desk, tell_labs
from scheduler.sweep import LEAST_WAITING, SweepReport, forget_workers, sweep
from worker import queues
from worker.config import QueueSettings, StoreSettings
from worker.errors import BadRequestError, ServiceError
from worker.storage import ObjectStore, open_store

log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S = 60.0
_CONNECTIONS = 6
"""One for each duty at a time, and some to spare."""
_REFILL_S = 0.25
"""First pause between sweeps while as many messages wait as may: small slides would else wait for the next sweep."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the scheduler works with."""

    store: ObjectStore
    engine: Engine
    bell: Doorbell
    settings: SchedulerSettings
    decide: Decide


@dataclass(frozen=True, kw_only=True)
class _Duty:
    """Something that is done again and again in a thread of its own."""

    name: str
    work: Callable[[], object]
    every_s: float
    wake: threading.Event  # do it now


def line_from_settings(decide: Decide) -> Line:
    """Return the line that the environment describes. BadRequestError when a setting is absent or not usable."""
    settings, database = SchedulerSettings(), DatabaseSettings()
    check_settings(settings)
    if database.database_url is None:
        raise BadRequestError("MARROWLINE_DATABASE_URL is not set: start with `marrowline up`, or name the server")
    return Line(
        store=open_store(StoreSettings()),
        engine=make_engine(database.database_url.get_secret_value(), pool_size=_CONNECTIONS, settings=database),
        bell=CeleryDoorbell(queues.make_app(QueueSettings().broker_url.get_secret_value())),
        settings=settings,
        decide=decide,
    )


def serve(line: Line, stop: threading.Event, *, sources: Sequence[EventSource] | None = None) -> None:
    """Schedule until `stop` is set; trouble with the bucket, the broker or Postgres is logged and waited out.

    sources: what tells of slides; by default what the settings name. Whatever error is a bug rises, after the rest
    has stopped.
    """
    hurry = threading.Event()
    if sources is None:
        door = Door(store=line.store, engine=line.engine, settings=line.settings, decide=line.decide)
        sources = default_sources(door, announce=hurry.set, stopping=stop.is_set)
    duties = [
        _Duty(name=source.name, work=source.poll, every_s=source.every_s, wake=threading.Event()) for source in sources
    ]
    duties.append(
        _Duty(name="sweep", work=lambda: _sweep(line, stop, hurry), every_s=line.settings.sweep_s, wake=hurry)
    )
    if line.settings.status_files:
        duties.append(_status_duty(line, stop))
    _run(duties, stop)


def _status_duty(line: Line, stop: threading.Event) -> _Duty:
    desk = Desk(store=line.store, engine=line.engine)
    every_s, stopping = line.settings.status_s, stop.is_set
    return _Duty(
        name="status", work=lambda: tell_labs(desk, stopping=stopping), every_s=every_s, wake=threading.Event()
    )


def _run(duties: Sequence[_Duty], stop: threading.Event) -> None:
    def keep_at(duty: _Duty) -> None:
        try:
            _repeat(duty, stop)
        finally:
            stop.set()

    with ThreadPoolExecutor(len(duties), thread_name_prefix="duty") as pool:
        kept = [pool.submit(keep_at, duty) for duty in duties]
        log.info("serving", duties=[duty.name for duty in duties])
        stop.wait()
        for duty in duties:
            duty.wake.set()
    log.info("stopped")
    for future in kept:
        future.result()


def _repeat(duty: _Duty, stop: threading.Event) -> None:
    failures = 0
    while not stop.is_set():
        try:
            duty.work()
            failures = 0
        except (ServiceError, DatabaseError, DBAPIError, PoolTimeoutError) as error:
            failures += 1
            log.warning(f"{duty.name} failed", error=told(error), in_succession=failures)
        duty.wake.wait(_pause_s(duty.every_s, failures))
        duty.wake.clear()


def _pause_s(every_s: float, failures: int) -> float:
    """Return how long to wait: longer after each failure, and never two schedulers in step."""
    if not failures:
        return every_s
    longest = min(every_s * 2.0 ** min(failures, 10), max(_LONGEST_PAUSE_S, every_s))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret


def _sweep(line: Line, stop: threading.Event, hurry: threading.Event) -> None:
    """Sweep, and go on while workers are fed to the limit or write reports: soon when they took something, else later.

    They never run dry by that: what they are fed lasts each of them several times as long as until it takes one.
    What is rung for again was not taken up: workers of a version without reports throw such messages away.
    """
    forget_workers(line.engine)
    pause_s = _REFILL_S
    while True:
        report = _swept(line)
        pause_s = _REFILL_S if report.rung > report.again else 2 * pause_s
        busy = report.pages or report.waiting + report.rung >= LEAST_WAITING
        if not busy or pause_s > line.settings.sweep_s:
            return
        hurry.wait(pause_s)
        hurry.clear()
        if stop.is_set():
            hurry.set()  # whoever runs this waits for it, too
            return


def _swept(line: Line) -> SweepReport:
    started = time.monotonic()
    report = sweep(line.engine, line.bell, line.decide, with_pages=line.settings.reports)
    happened = report.expired or report.rung
    (log.info if happened else log.debug)(
        "swept",
        expired=report.expired,
        waiting=report.waiting,
        rung=report.rung,
        reports=report.pages,
        seconds=round(time.monotonic() - started, 3),
    )
    return report
