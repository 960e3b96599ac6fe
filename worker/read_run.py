"""Carries one run from its claim to its end: stage, plan, read, write batch by batch, finish.

Every way a run can leave a worker is in `read_run`; whatever is not named there is a bug, burns an attempt and rises.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import structlog
from sqlalchemy import Engine

from db import batches, leases, workers
from db.counts import Stop
from db.errors import BadOutputError, DatabaseError, FencedError, UnavailableError
from db.faultpoints import faultpoint
from db.model_rows import differing
from db.records import Claim, Plan, Preparation
from worker import pipeline, planning
from worker.config import WorkerSettings
from worker.counting.course import Course, count, counting_for, course_of
from worker.errors import (
    BadSlideError,
    DeviceError,
    MarrowlineError,
    ModelError,
    NoSpaceError,
    ObjectChangedError,
    SandboxError,
    ServiceError,
    StoreRefusedError,
    UnknownRuleError,
)
from worker.heartbeat import Heartbeat
from worker.nets.cards import version_of
from worker.nets.registry import Model
from worker.prefetch import Prefetcher
from worker.slides.reader import SlideReader
from worker.slides.sandbox.opening import opened_by
from worker.slides.smear.survey import Told
from worker.staging import CacheSpec, staged
from worker.storage import ObjectStore
from worker.verdict import decide

log = structlog.get_logger(__name__)

_SOON_S = 15.0
_LATER_S = 60.0
_OF_THE_SITE = (NoSpaceError, StoreRefusedError, SandboxError, ModelError, DeviceError, UnknownRuleError)


class Outcome(StrEnum):
    """How a message to read a run ended."""

    REFUSED = "refused"  # done already, not due, or held by another worker
    DONE = "done"
    QUARANTINED = "quarantined"
    RETRY = "retry"
    RELEASED = "released"  # this worker is shutting down
    FENCED = "fenced"
    DROPPED = "dropped"  # Postgres is away: the lease ends by itself and another worker takes over


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What one worker process reads slides with."""

    engine: Engine
    store: ObjectStore
    cache: CacheSpec
    settings: WorkerSettings
    worker_id: str
    load_model: Callable[[str], Model]
    stopping: Callable[[], bool] = lambda: False
    prefetcher: Prefetcher | None = None


class _StoppingError(Exception):
    """The worker shuts down; the run goes back unharmed."""


def read_run(run_id: int, bench: Bench) -> Outcome:
    """Read one slide and store its cells; a lost or repeated message is harmless."""
    try:
        workers.attempted(bench.engine, bench.worker_id)
        claim = leases.claim(bench.engine, run_id, worker_id=bench.worker_id, lease_s=bench.settings.lease_s)
    except UnavailableError:
        log.warning("left", run_id=run_id, outcome=Outcome.DROPPED)
        return Outcome.DROPPED
    if claim is None:
        return Outcome.REFUSED
    bound = log.bind(run_id=run_id, fence=claim.fence, attempt=claim.attempt)
    bound.info("claimed")
    try:
        outcome = _guarded(claim, bench)
    except FencedError:
        outcome = Outcome.FENCED
    except UnavailableError:
        outcome = Outcome.DROPPED
    bound.info("left", outcome=outcome)
    return outcome


def _guarded(claim: Claim, bench: Bench) -> Outcome:
    """Read the claimed run and record in the database how that ended."""
    try:
        _read(claim, bench)
    except BadSlideError as bad:
        leases.fail(bench.engine, claim, code=bad.code, cause=bad.cause, remedy=bad.remedy, decide=decide)
        return Outcome.QUARANTINED
    except BadOutputError as bad:
        remedy = "The model's output breaks a rule of the database: report it with the run's number."
        leases.fail(bench.engine, claim, code="bad_output", cause=str(bad), remedy=remedy, decide=decide)
        return Outcome.QUARANTINED
    except _StoppingError:
        leases.release(bench.engine, claim)
        return Outcome.RELEASED
    except (*_OF_THE_SITE, ObjectChangedError) as error:
        # The site's fault, or a new version that the next listing registers: no attempt is burnt.
        return _retry(claim, bench, error, delay_s=_LATER_S, counts=False)
    except ServiceError as error:
        return _retry(claim, bench, error, delay_s=_SOON_S * 2 ** min(claim.attempt, 6), counts=True)
    except DatabaseError:
        raise
    except Exception as error:  # a bug: it burns an attempt, so that it cannot loop for ever, and rises
        _retry(claim, bench, error, delay_s=_SOON_S, counts=True)
        raise
    return Outcome.DONE


def _retry(claim: Claim, bench: Bench, error: Exception, *, delay_s: float, counts: bool) -> Outcome:
    cause = str(error) if isinstance(error, MarrowlineError) else type(error).__name__
    leases.retry_later(
        bench.engine, claim, code=code_of(error), cause=cause, delay_s=delay_s, counts=counts, decide=decide
    )
    return Outcome.RETRY


def code_of(error: Exception) -> str:
    """Return the error's class as a code: NoSpaceError -> no_space."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _read(claim: Claim, bench: Bench) -> None:
    faultpoint("run.claimed")
    with (
        Heartbeat(bench.engine, claim, every_s=bench.settings.heartbeat_s) as heart,
        staged(
            bench.store,
            claim.obj,
            bench.cache,
            files=claim.files,
            sha256=claim.sha256,
            check=lambda: _check_going_on(heart, bench),
        ) as file,
    ):
        faultpoint("slide.staged")
        heart.check()
        model = bench.load_model(claim.model.name)
        if others := differing(version_of(model.card), claim.model):
            raise ModelError(
                f"{claim.model.name}: this worker's model differs in {', '.join(others)} from the one that "
                "the run asks for; install the same package version and weights on scheduler and worker"
            )
        if bench.prefetcher:
            bench.prefetcher.start()
        with closing(opened_by(bench.settings, file.path)) as reader:
            spec = _spec(claim, bench.settings, sandbox=reader.level)
            plan = planning.plan_slide(reader, model, spec, sha256=file.sha256)
            stop = _write(claim, bench, heart, reader, plan, model)
    faultpoint("run.ending")
    leases.finish(bench.engine, claim, decide, stop)
    faultpoint("run.ended")


def _check_going_on(heart: Heartbeat, bench: Bench) -> None:
    """Raise FencedError when the claim is lost, _StoppingError when the worker shuts down."""
    heart.check()
    if bench.stopping():
        raise _StoppingError


def _write(claim: Claim, bench: Bench, heart: Heartbeat, reader: SlideReader, plan: Plan, model: Model) -> Stop | None:
    """Write the batches that are not there yet; return where and why that ended, None for a plan without looks."""
    written = batches.store_plan(bench.engine, claim, plan)
    faultpoint("plan.stored")
    defects = batches.defects(bench.engine, claim) if written else 0
    course = _course(claim, bench, plan, taken_over=bool(written))
    with closing(pipeline.read_slide(reader, plan, model, skip=written, defects=defects)) as read:
        for batch in () if course and course.stop else read:
            heart.check()
            faultpoint("batch.read")
            batches.write_batch(bench.engine, claim, batch)
            faultpoint("batch.written")
            course = course and course.after(count(batch))
            if course and course.stop:
                break
            if bench.stopping():
                raise _StoppingError
    return course.end() if course else None


def _course(claim: Claim, bench: Bench, plan: Plan, *, taken_over: bool) -> Course | None:
    """Return how far the run has been read by those who held it before; None for a plan without looks."""
    course = course_of(plan.document)
    if course is None or not taken_over:
        return course
    return reduce(Course.after, batches.counts(bench.engine, claim), course)


def _spec(claim: Claim, settings: WorkerSettings, *, sandbox: str) -> planning.ReadingSpec:
    return planning.ReadingSpec(
        told=Told(
            declared_mpp_um=claim.declared_mpp_um,
            site_mpp_um=claim.site_mpp_um,
            is_smear=claim.preparation is Preparation.SMEAR,
        ),
        sandbox=sandbox,
        core_px=settings.tile_core_px,
        tiles_per_batch=settings.tiles_per_batch,
        counting=counting_for(claim.rule, claim.specimen),
    )
