"""Typed readers of what persons said of cells, and of how far model and persons agree. Research use only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db.view_rows import read_view


@dataclass(frozen=True, kw_only=True)
class CorrectionReport:
    """One word of a person on a cell; the fields are those of `marrowline corrections list --json`."""

    correction_id: int
    lab: str
    patient: str
    slide_id: int
    key: str
    model_version: str
    run_id: int
    batch_no: int
    cell_no: int
    x_l0: float | None
    y_l0: float | None
    called: str | None
    abstained: bool | None
    cell_class: str
    made_by: str
    note: str | None
    made_at: datetime
    last_word: bool
    counts: bool


@dataclass(frozen=True, kw_only=True)
class DisputedReport:
    """A cell on which persons disagree."""

    lab: str
    patient: str
    slide_id: int
    key: str
    model_version: str
    run_id: int
    batch_no: int
    cell_no: int
    x_l0: float | None
    y_l0: float | None
    called: str | None
    words: Mapping[str, str]  # person: class
    last_class: str


@dataclass(frozen=True, kw_only=True)
class AgreementReport:
    """How far a model version and persons agree, of all classes or of one against the others."""

    lab: str
    model_version: str
    made_by: str | None  # None: all of the laboratory
    cell_class: str | None  # None: all classes at once
    cells: int
    agreed: int
    by_model: int | None
    by_person: int | None
    kappa: float | None  # None: both hold every cell for the same class
    ci_low: float | None
    ci_high: float | None
    abstained: int


@dataclass(frozen=True, kw_only=True)
class ConfusionReport:
    """How many cells the model called one class and persons gave another, or the same."""

    lab: str
    model_version: str
    made_by: str | None  # None: all of the laboratory
    called: str  # a class, or abstained
    given: str
    cells: int


def corrections(
    conn: Connection,
    *,
    lab: str | None = None,
    patient: str | None = None,
    made_by: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[CorrectionReport]:
    """Return what persons said of cells, in the order in which they said it, overtaken words too."""
    wanted = {"lab": lab, "patient": patient, "made_by": made_by}
    return read_view(conn, CorrectionReport, "corrections", wanted, ("correction_id",), limit=limit, offset=offset)


def disputed(
    conn: Connection, *, lab: str | None = None, patient: str | None = None, limit: int | None = None, offset: int = 0
) -> list[DisputedReport]:
    """Return the cells on which persons disagree."""
    order = ("lab", "patient", "key", "run_id", "batch_no", "cell_no")
    wanted = {"lab": lab, "patient": patient}
    return read_view(conn, DisputedReport, "disputed_cells", wanted, order, limit=limit, offset=offset)


def agreement(conn: Connection, *, lab: str | None = None, made_by: str | None = None) -> list[AgreementReport]:
    """Return agreement by lab, model version, person and class; the rows over all persons and all classes come last."""
    order = ("lab", "model_version", "made_by", "cell_class")
    return read_view(conn, AgreementReport, "agreement", {"lab": lab, "made_by": made_by}, order)


def confusions(conn: Connection, *, lab: str | None = None, made_by: str | None = None) -> list[ConfusionReport]:
    """Return confusions by lab, model version and person; those of all persons come last."""
    order = ("lab", "model_version", "made_by", "called", "given")
    return read_view(conn, ConfusionReport, "confusions", {"lab": lab, "made_by": made_by}, order)
