"""Typed readers of the report views of cells: single ones, and how many of each class. Research use only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from db.view_rows import read_view

_CELL_KEY = ("run_id", "batch_no", "cell_no")


@dataclass(frozen=True, kw_only=True)
class CellReport:
    """One cell of a finished run."""

    lab: str
    patient: str
    key: str
    model_version: str
    run_id: int
    batch_no: int
    cell_no: int
    x_l0: float
    y_l0: float
    cell_class: str
    abstained: bool
    probability: float
    probabilities: Mapping[str, float]
    features: Mapping[str, float] | None
    outline_l0: list[int] | None
    shown: bool
    corrected_class: str | None  # as a person left it


@dataclass(frozen=True, kw_only=True)
class _CellKey:
    """Which cell of all."""

    run_id: int
    batch_no: int
    cell_no: int


@dataclass(frozen=True, kw_only=True)
class DifferentialReport:
    """A patient's cells of one class in one kind of specimen."""

    lab: str
    patient: str
    specimen: str
    model_version: str
    cell_class: str
    counted: bool
    called: int
    abstained: int
    share: float | None


def cells(
    conn: Connection,
    *,
    lab: str | None = None,
    patient: str | None = None,
    run_id: int | None = None,
    cell_class: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[CellReport]:
    """Return cells of finished runs by run, batch and number: of a run that is named, or of those that are shown.

    What a cell measures is put together in the view for each cell that it is asked for, which takes longer than finding
    it: so a page's keys are looked up first, and then only the batches that they are in.
    """
    shown = True if run_id is None else None
    wanted: dict[str, object] = {
        "lab": lab, "patient": patient, "run_id": run_id, "cell_class": cell_class, "shown": shown,
    }  # fmt: skip
    keys = read_view(conn, _CellKey, "cells", wanted, _CELL_KEY, limit=limit, offset=offset)
    batches = {name: sorted({getattr(key, name) for key in keys}) for name in ("run_id", "batch_no")}
    found = read_view(conn, CellReport, "cells", wanted | batches, _CELL_KEY) if keys else []
    page = set(keys)
    return [one for one in found if _CellKey(run_id=one.run_id, batch_no=one.batch_no, cell_no=one.cell_no) in page]


def differential(conn: Connection, *, lab: str | None = None, patient: str | None = None) -> list[DifferentialReport]:
    """Return cells per class, as the verdict of the model version shown counts them."""
    order = ("lab", "patient", "specimen", "cell_class")
    return read_view(conn, DifferentialReport, "differential", {"lab": lab, "patient": patient}, order)
