"""Takes one object in: asks the store what it is, reads its sidecar, and registers it in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from db import facts as known_facts
from db import runs, statuses
from db.counts import Decide
from db.faultpoints import faultpoint
from db.session import sqlstate, transact
from db.slide_files import register_set
from scheduler.config import SchedulerSettings
from scheduler.intake import RefusedError, check_pattern, facts_of, fault_of_key, is_uploading, sidecar_key
from scheduler.set_intake import look_up
from worker.errors import BadRequestError
from worker.rules import RULES
from worker.slide_sets import set_kind
from worker.storage import ObjectStore

PATIENCE_S = 5.0
"""How long the scheduler tries a transaction again before it lets its loop wait; it must be able to stop soon."""
# Stores tell whole seconds: a slide that was registered with its sidecar is a little newer than both, and so differs
# from one whose sidecar came later within the same second.
_ALONE = timedelta(0)
_WITH_SIDECAR = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Door:
    """What slides come in by."""

    store: ObjectStore
    engine: Engine
    settings: SchedulerSettings
    decide: Decide


def check_settings(settings: SchedulerSettings) -> None:
    """Raise BadRequestError when no slide could be registered, or none judged, with these settings."""
    check_pattern(settings.key_pattern)
    if settings.rule not in RULES:
        raise BadRequestError(f"MARROWLINE_RULE is {settings.rule!r}: give one of {', '.join(sorted(RULES))}")


def lab_defaults(settings: SchedulerSettings) -> runs.LabDefaults:
    """Return what a new lab starts with."""
    return runs.LabDefaults(
        specimen=settings.default_specimen,
        site_mpp_um=settings.site_mpp_um,
        rule=settings.rule,
        max_attempts=settings.max_attempts,
    )


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What came of an object."""

    run_id: int | None = None  # the run that became due by it
    waits: bool = False  # for more files of a set: nothing comes of it until one of them changes


def take_in(door: Door, key: str, *, modified: datetime | None = None) -> TakenIn:
    """Register the latest version under the key, once.

    Of a slide of several files the key is its index's, or its folder's: it becomes due once all have come.

    An object version that is known already takes over what its sidecar says now. An object that is gone does
    nothing. Calling again is harmless.

    modified: the later time of change of object and sidecar where a listing told; None: ask the store.
    Raises RefusedError when it cannot become a slide, ServiceError, db.errors.UnavailableError.
    """
    take = _take_in_set if set_kind(key) is not None else _take_in_file
    try:
        return take(door, key, modified)
    except RefusedError as refused:
        _tell_refused(door, refused)
        raise


def _tell_refused(door: Door, refused: RefusedError) -> None:
    """Have the lab told, beside its upload."""
    if fault_of_key(refused.key) is None:
        name = door.store.name
        transact(
            door.engine, lambda conn: statuses.refuse(conn, name, refused.key, refused.reason), patience_s=PATIENCE_S
        )


def _take_in_file(door: Door, key: str, modified: datetime | None) -> TakenIn:
    """Register a slide of one file."""
    obj = door.store.head(key)
    if obj is None:
        return TakenIn()
    sidecar = sidecar_of(door.store, key)
    facts = facts_of(key, sidecar, door.settings, prefix=door.store.prefix)
    if modified is None:
        beside = door.store.head(sidecar_key(key)) if sidecar is not None else None
        modified = max(one.last_modified for one in (obj, beside) if one is not None)
    obj = replace(obj, last_modified=modified + (_WITH_SIDECAR if sidecar is not None else _ALONE))
    defaults = lab_defaults(door.settings)

    def work(conn: Connection) -> int | None:
        run_id = runs.register(conn, obj, facts, defaults, door.decide)
        restarted = known_facts.restate(conn, obj, facts, defaults, door.decide)
        statuses.accept(conn, obj.bucket, key)
        faultpoint("slide.registering")
        return restarted if restarted is not None else run_id

    run_id = transact(door.engine, work, patience_s=PATIENCE_S)
    faultpoint("slide.registered")
    return TakenIn(run_id=run_id)


def _take_in_set(door: Door, key: str, listed: datetime | None) -> TakenIn:
    """Register what has come of a slide of several files; a listing may tell times more finely than single answers."""
    if fault_of_key(key):
        return TakenIn()
    before = sidecar_of(door.store, key)
    found = look_up(door.store, key, quiet_s=door.settings.set_quiet_s)
    if found is None:
        return TakenIn()
    sidecar = sidecar_of(door.store, key)
    # Files are replaced one by one: the sidecar is asked before and after, or an upload could begin or end in between.
    if is_uploading(key, before) or is_uploading(key, sidecar):
        found = replace(found, complete=False, quiet_s=None)
    facts = facts_of(key, sidecar, door.settings, prefix=door.store.prefix)
    beside = door.store.head(sidecar_key(key)) if sidecar is not None else None
    times = [one.last_modified for one in (found.obj, beside) if one is not None]
    modified = max([*times, listed] if listed else times)
    obj = replace(found.obj, last_modified=modified + (_WITH_SIDECAR if sidecar is not None else _ALONE))
    whole, defaults = replace(found, obj=obj), lab_defaults(door.settings)

    def work(conn: Connection) -> int | None:
        known, run_id = register_set(conn, whole, facts, defaults, door.decide)
        restarted = known_facts.restate(conn, known, facts, defaults, door.decide)
        statuses.accept(conn, known.bucket, key)
        return restarted if restarted is not None else run_id

    run_id = transact(door.engine, work, patience_s=PATIENCE_S)
    return TakenIn(run_id=run_id, waits=not found.complete and found.quiet_s is None)


def told(error: Exception) -> str:
    """Return what a log may hold of an error: no statement, no parameters, no address."""
    if isinstance(error, DBAPIError):
        return f"Postgres: {type(error.orig).__name__} {sqlstate(error) or 'without an answer'}"
    return str(error)


def sidecar_of(store: ObjectStore, key: str) -> bytes | None:
    """Return what lies beside the slide, None when nothing does. Raises RefusedError, ServiceError."""
    try:
        return store.read_small(sidecar_key(key))
    except BadRequestError as error:
        raise RefusedError(key, f"its sidecar <key>.json is {error}; shorten it") from error
