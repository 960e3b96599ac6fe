"""Typed readers of the report views of patients, slides, readings and models. Research use only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from db.counts import Share
from db.query import query as query  # noqa: PLC0414 — readers find all of reporting here
from db.run_tables import run
from db.view_rows import read_view


@dataclass(frozen=True, kw_only=True)
class PatientReport:
    """A patient's finding; the fields are those of `marrowline patients --json`."""

    lab: str
    patient: str
    finding: str
    reason: str
    cells: int
    slides_done: int
    slides_open: int
    slides_quarantined: int
    model_version: str
    rule: str
    shares: Mapping[str, Share]
    reported_at: datetime


@dataclass(frozen=True, kw_only=True)
class SlideReport:
    """A slide and how its reading stands; the fields are those of `marrowline slides --json`."""

    lab: str
    patient: str
    key: str
    state: str  # waiting, reading, done, quarantined, cancelled
    error_code: str | None
    reason: str | None
    remedy: str | None
    cells: int | None
    mpp_um: float | None
    mpp_source: str | None
    mpp_error_um: float | None
    sandbox: str | None
    tile_defects: int
    slide_id: int
    bucket: str
    specimen: str
    stain: str | None
    size_bytes: int
    model_version: str | None
    run_id: int | None
    attempts: int | None
    batches_written: int
    batches: int | None
    object_state: str
    registered_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One reading of a slide by one model version."""

    run_id: int
    lab: str
    patient: str
    slide_id: int
    key: str
    model_version: str
    state: str
    attempts: int
    releases: int
    max_attempts: int
    error_code: str | None
    reason: str | None
    remedy: str | None
    change_reason: str
    worker: str | None
    cells: int | None
    batches: int | None
    batches_read: int | None  # fewer than batches where a finished reading stopped early
    stop_rule: str | None
    stop_look: int | None
    stop_cells: int | None
    stop_reason: str | None
    mpp_um: float | None
    mpp_source: str | None
    mpp_error_um: float | None
    reader: str | None
    sandbox: str | None
    countable_share: float | None
    areas_mm2: float | None
    tile_defects: int
    created_at: datetime
    next_at: datetime
    progress_at: datetime | None
    finished_at: datetime | None
    shown: bool  # whether the patient's finding rests on this model version


@dataclass(frozen=True, kw_only=True)
class ModelVersionReport:
    """A registered model version; the fields are those of `marrowline models list --json`, beside what is installed."""

    model_version: str
    created: date | None
    registered_at: datetime
    active: bool
    activated_at: datetime | None
    weights_sha256: str
    arch: str | None
    classes: list[str]
    figures: Mapping[str, Any] | None
    limits: str | None
    terms: str | None
    slides_read: int
    slides_quarantined: int
    slides_queued: int
    patients_shown: int


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model version is: nothing of how far it has come, which takes the longer the larger the archive is."""

    model_version: str
    created: date | None
    weights_sha256: str
    arch: str | None
    classes: list[str]
    limits: str | None
    terms: str | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How much is to be done: runs per state, and since when the oldest waiting one waits."""

    runs: Mapping[str, int]
    oldest_waiting_at: datetime | None


def patients(
    conn: Connection, *, lab: str | None = None, patient: str | None = None, limit: int | None = None, offset: int = 0
) -> list[PatientReport]:
    """Return patients by lab and pseudonym."""
    wanted = {"lab": lab, "patient": patient}
    found = read_view(conn, PatientReport, "patients", wanted, ("lab", "patient"), limit=limit, offset=offset)
    return [replace(one, shares={name: _share(of) for name, of in one.shares.items()}) for one in found]


def slides(
    conn: Connection,
    *,
    lab: str | None = None,
    patient: str | None = None,
    state: str | None = None,
    key: str | None = None,
    slide_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[SlideReport]:
    """Return slides by lab, patient, key, and the order in which they came."""
    wanted = {"lab": lab, "patient": patient, "state": state, "key": key, "slide_id": slide_id}
    order = ("lab", "patient", "key", "slide_id")
    return read_view(conn, SlideReport, "slides", wanted, order, limit=limit, offset=offset)


def quarantined(
    conn: Connection, *, lab: str | None = None, limit: int | None = None, offset: int = 0
) -> list[SlideReport]:
    """Return the slides in quarantine with their cause and remedy."""
    return slides(conn, lab=lab, state="quarantined", limit=limit, offset=offset)


def runs(
    conn: Connection,
    *,
    lab: str | None = None,
    patient: str | None = None,
    state: str | None = None,
    slide_id: int | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[RunReport]:
    """Return runs, past ones too, in the order in which they were registered."""
    wanted = {"lab": lab, "patient": patient, "state": state, "slide_id": slide_id}
    return read_view(conn, RunReport, "runs", wanted, ("run_id",), limit=limit, offset=offset)


def model_versions(conn: Connection) -> list[ModelVersionReport]:
    """Return the registered model versions, in the order in which they were registered."""
    return read_view(conn, ModelVersionReport, "model_versions", {}, ("registered_at", "model_version"))


def model_facts(conn: Connection, name: str) -> ModelFacts:
    """Return what a registered model version is."""
    (found,) = read_view(conn, ModelFacts, "model_versions", {"model_version": name}, ("model_version",))
    return found


def overview(conn: Connection) -> Overview:
    """Return what there is to do."""
    counts = {row[0]: row[1] for row in conn.execute(select(run.c.state, func.count()).group_by(run.c.state))}
    waiting = run.c.state.in_(("pending", "retry_wait"))
    oldest = conn.execute(select(func.min(run.c.created_at)).where(waiting)).scalar_one()
    return Overview(runs=counts, oldest_waiting_at=oldest)


def _share(stored: Any) -> Share:
    return stored if isinstance(stored, Share) else Share(**stored)
