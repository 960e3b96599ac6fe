"""Writes a patient's cells, differential and slides as CSV: RFC 4180, UTF-8, a full stop before decimals.

Every row says what it may be used for, as rows are copied into other tables.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from db import cell_reports
from db.cases import Case, CaseCell, CaseSlide
from db.session import transaction
from worker.outputs.files import patient_stem, whole
from worker.outputs.panel import NOTICE
from worker.outputs.stored_cells import Passing, all_cells
from worker.workshop import Tell, Workshop

_CELL = ("slide_id", "run_id", "batch_no", "cell_no", "x_l0", "y_l0", "cell_class", "abstained", "corrected_class",
         "probability")  # fmt: skip
_DIFFERENTIAL = ("specimen", "model_version", "cell_class", "counted", "called", "abstained", "share")
_INTERVAL = ("ci_low", "ci_high")
_SLIDE = ("slide_id", "key", "sha256", "specimen", "stain", "taken_at", "state", "error_code", "reason", "remedy",
          "run_id", "mpp_um", "mpp_source", "cells", "finished_at")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would run."""

_Row = Mapping[str, object]
_Along = Callable[[Iterable[CaseCell]], Iterator[CaseCell]]


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write the tables of cells, differential and slides; return the files.

    Raises BadRequestError where the folder takes no file, ServiceError when a slide changes meanwhile.
    """
    paths = {what: folder / f"{patient_stem(case.report, what)}.csv" for what in ("cells", "differential", "slides")}
    along = partial(Passing.of(case, tell).along, paths["cells"].name)
    with transaction(workshop.engine) as conn:
        _write(paths["cells"], cell_columns(case), _cells(conn, case, along))
        _write(paths["differential"], (*_DIFFERENTIAL, *_INTERVAL), _differential(conn, case))
        _write(paths["slides"], (*_SLIDE, "countable_share"), map(_slide_row, case.slides))
    return list(paths.values())


def cell_columns(case: Case) -> tuple[str, ...]:
    """Return the columns of the table of cells: those of all slides, though early ones may lack some."""
    features = dict.fromkeys(chain.from_iterable(slide.feature_names for slide in case.read))
    return (*_CELL, *(f"p_{name}" for name in case.model.classes), *features)


def cell_row(case: Case, slide: CaseSlide, cell: CaseCell) -> dict[str, object]:
    """Return a cell as a row; features are called as in worker.cells.features."""
    return {
        "slide_id": slide.slide_id,
        **{name: getattr(cell, name) for name in _CELL[1:]},
        **{f"p_{name}": p for name, p in zip(case.model.classes, cell.probabilities, strict=True)},
        **dict(zip(slide.feature_names, cell.features, strict=True)),
    }


def _cells(conn: Connection, case: Case, along: _Along) -> Iterator[_Row]:
    for slide in case.read:
        yield from (cell_row(case, slide, cell) for cell in along(all_cells(conn, slide)))


def _differential(conn: Connection, case: Case) -> Iterator[_Row]:
    """Yield the counts of every specimen and class, with the share's interval where the verdict states it."""
    stated = {one["specimen"]: one.get("shares", {}) for one in case.evidence.get("specimens", ())}
    for row in cell_reports.differential(conn, lab=case.report.lab, patient=case.report.patient):
        share: Mapping[str, Any] = stated.get(row.specimen, {}).get(row.cell_class, {})
        yield {name: getattr(row, name) for name in _DIFFERENTIAL} | {name: share.get(name) for name in _INTERVAL}


def _slide_row(slide: CaseSlide) -> _Row:
    own = {name: getattr(slide, name) for name in _SLIDE if name != "key"}
    return own | {"key": slide.obj.key, "countable_share": slide.area_shares.get("countable")}


def _write(path: Path, columns: Sequence[str], rows: Iterable[_Row]) -> None:
    with whole(path) as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow((*columns, "use"))
        for row in rows:
            writer.writerow((*(_field(row.get(name)) for name in columns), NOTICE))


def _field(value: object) -> object:
    """Return a value as it stands in a table; a text that a spreadsheet would run begins with an apostrophe."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
