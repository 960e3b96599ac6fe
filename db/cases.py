"""Everything that is known of one patient, for reports, exports and proofs.

A case rests on the model version that the patient is shown under, as the finding does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, and_, column, select, table

from db import absence, reports
from db.cell_tables import area, cell, outline
from db.correction_tables import corrected_cell
from db.errors import NotAllowedError, NotFoundError
from db.records import Area, SlideState, StoredObject
from db.reports import ModelFacts, PatientReport, SlideReport
from db.run_tables import run
from db.steps import files_of, stored_object
from db.tables import slide
from db.tallies import WITHDRAWN

_AT_ONCE = 2000
"""Cells that are fetched together."""
_READING = (run.c.area_shares, run.c.plan, run.c.n_batches, run.c.feature_names)
_UNREAD = SimpleNamespace(area_shares=None, plan=None, n_batches=None, feature_names=None)


@dataclass(frozen=True, kw_only=True)
class CaseSlide:
    """One of the patient's slides and what its reading left."""

    slide_id: int
    obj: StoredObject
    files: tuple[StoredObject, ...]  # those of a slide that is several
    sha256: str | None
    specimen: str
    stain: str | None
    taken_at: datetime | None
    state: str  # as in SlideReport
    error_code: str | None
    reason: str | None
    remedy: str | None
    run_id: int | None
    mpp_um: float | None
    mpp_source: str | None
    cells: int | None  # of every class; None until it is done
    area_shares: Mapping[str, float]  # of the slide: counted, and why not elsewhere
    areas: tuple[Area, ...]
    plan: Mapping[str, Any] | None
    n_batches: int | None
    feature_names: tuple[str, ...]
    finished_at: datetime | None
    object_state: str = SlideState.CURRENT  # as in SlideReport


@dataclass(frozen=True, kw_only=True)
class CaseCell:
    """One cell of a finished run, as it is stored."""

    run_id: int
    batch_no: int
    cell_no: int
    x_l0: float
    y_l0: float
    cell_class: str
    abstained: bool
    probabilities: tuple[float, ...]  # in the order of the model version's classes
    features: tuple[float, ...]  # in the order of CaseSlide.feature_names
    outline_l0: tuple[int, ...]  # x, y, x, y ... without the repeated first point; empty where none is stored
    corrected_class: str | None = None  # as a person left it, by which it counts

    @property
    def probability(self) -> float:
        """The greatest probability of any class."""
        return max(self.probabilities)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A patient's finding with its evidence, the model version behind it, and all slides."""

    report: PatientReport
    evidence: Mapping[str, Any]
    model: ModelFacts
    slides: tuple[CaseSlide, ...]

    @property
    def read(self) -> tuple[CaseSlide, ...]:
        """The slides that the finding rests on."""
        return tuple(one for one in self.slides if one.state == "done")

    @property
    def withdrawn(self) -> tuple[CaseSlide, ...]:
        """The slides that a person withdrew: nothing rests on them. One whose key holds another object is none."""
        stand = (one for one in self.slides if one.object_state != SlideState.SUPERSEDED)
        return tuple(one for one in stand if one.error_code == WITHDRAWN)

    @property
    def all_withdrawn(self) -> bool:
        """Whether persons withdrew every slide that the finding could rest on or wait for."""
        left = self.report.slides_done + self.report.slides_open + self.report.slides_quarantined
        return bool(self.withdrawn) and not left


def case_of(conn: Connection, patient: str, lab: str | None = None) -> Case:
    """Return what is known of the patient.

    Raises NotFoundError when no such patient has a finding, NotAllowedError when several labs know one of that name.
    """
    found = reports.patients(conn, patient=patient, lab=lab)
    if not found:
        missing = absence.unknown(conn, lab=lab, patient=patient)
        raise NotFoundError(missing or f"no finding for patient {patient!r} yet: see `marrowline slides`")
    if len(found) > 1:
        codes = ", ".join(one.lab for one in found)
        raise NotAllowedError(f"{len(found)} labs know a patient {patient!r}, {codes}: name the lab with --lab")
    (report,) = found
    model = reports.model_facts(conn, report.model_version)
    slides = reports.slides(conn, lab=report.lab, patient=report.patient)
    return Case(report=report, evidence=_evidence(conn, report), model=model, slides=_slides(conn, slides))


def cells_of(conn: Connection, run_id: int) -> Iterator[CaseCell]:
    """Yield the cells of a run by batch and number, in memory that does not grow with them.

    A run that is not done yields nothing: its cells are no result.
    """
    key = [cell.c[name] for name in ("run_id", "batch_no", "cell_no")]
    beside = cell.join(run, run.c.id == cell.c.run_id)
    for other in (outline, corrected_cell):
        beside = beside.outerjoin(other, and_(*(other.c[one.name] == one for one in key)))
    wanted = (
        select(cell, outline.c.points_l0, corrected_cell.c.cell_class.label("corrected_class"))
        .select_from(beside)
        .where(cell.c.run_id == run_id, run.c.state == "done")
        .order_by(*key)
    )
    for row in conn.execution_options(yield_per=_AT_ONCE).execute(wanted):
        yield _cell(row)


def _cell(row: Row[Any]) -> CaseCell:
    return CaseCell(
        run_id=row.run_id,
        batch_no=row.batch_no,
        cell_no=row.cell_no,
        x_l0=row.x_l0,
        y_l0=row.y_l0,
        cell_class=row.cell_class,
        abstained=row.abstained,
        probabilities=tuple(row.probabilities),
        features=tuple(row.features),
        outline_l0=tuple(row.points_l0 or ()),
        corrected_class=row.corrected_class,
    )


def _evidence(conn: Connection, of: PatientReport) -> Mapping[str, Any]:
    source = table("patients", *(column(name) for name in ("lab", "patient", "evidence")), schema="report")
    wanted = select(source.c.evidence).where(source.c.lab == of.lab, source.c.patient == of.patient)
    found: Mapping[str, Any] = conn.execute(wanted).scalar_one()
    return found


def _slides(conn: Connection, found: Sequence[SlideReport]) -> tuple[CaseSlide, ...]:
    rows = {row.id: row for row in conn.execute(select(slide).where(slide.c.id.in_(one.slide_id for one in found)))}
    return tuple(_slide(conn, one, rows[one.slide_id]) for one in found)


def _slide(conn: Connection, one: SlideReport, stored: Row[Any]) -> CaseSlide:
    reading: Any = conn.execute(select(*_READING).where(run.c.id == one.run_id)).one_or_none() or _UNREAD
    return CaseSlide(
        slide_id=one.slide_id,
        obj=stored_object(stored),
        files=files_of(conn, stored),
        sha256=stored.sha256,
        specimen=stored.specimen,
        stain=stored.stain,
        taken_at=stored.taken_at,
        state=one.state,
        error_code=one.error_code,
        reason=one.reason,
        remedy=one.remedy,
        run_id=one.run_id,
        mpp_um=one.mpp_um,
        mpp_source=one.mpp_source,
        cells=one.cells,
        area_shares=reading.area_shares or {},
        areas=_areas(conn, one.run_id),
        plan=reading.plan,
        n_batches=reading.n_batches,
        feature_names=tuple(reading.feature_names or ()),
        finished_at=one.finished_at,
        object_state=one.object_state,
    )


def _areas(conn: Connection, run_id: int | None) -> tuple[Area, ...]:
    rows = conn.execute(select(area).where(area.c.run_id == run_id).order_by(area.c.no))
    return tuple(
        Area(kind=row.kind, x_l0=row.x_l0, y_l0=row.y_l0, width_l0=row.width_l0, height_l0=row.height_l0, mm2=row.mm2)
        for row in rows
    )
