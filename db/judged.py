"""Cells that persons judged, with the slides that they lie on: what a set to train on is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select, text

from db.records import StoredObject
from db.steps import files_of, stored_object
from db.tables import slide

# A word that was carried over from another reading is disputed where it was said.
_CELLS = text(
    """
    SELECT slide.id AS slide_id, slide.patient_id, run.plan, cell.run_id, cell.batch_no, cell.cell_no, cell.x_l0,
           cell.y_l0, corrected_cell.cell_class, corrected_cell.called, corrected_cell.abstained, word.made_by,
           EXISTS (SELECT FROM report.disputed_cells AS disputed
                    WHERE (disputed.run_id, disputed.batch_no, disputed.cell_no, disputed.x_l0, disputed.y_l0)
                        = (word.run_id, word.batch_no, word.cell_no, word.x_l0, word.y_l0)) AS disputed
      FROM corrected_cell
      JOIN cell USING (run_id, batch_no, cell_no)
      JOIN correction AS word ON word.id = corrected_cell.correction_id
      JOIN run ON run.id = cell.run_id AND run.state = 'done'
      JOIN slide ON slide.id = run.slide_id AND slide.state = 'current'
      JOIN patient ON patient.id = slide.patient_id AND patient.shown_model_id = run.model_version_id
      JOIN lab ON lab.id = patient.lab_id
     WHERE (CAST(:lab AS text) IS NULL OR lab.code = :lab)
       AND (CAST(:patient AS text) IS NULL OR patient.pseudonym = :patient)
     ORDER BY slide.id, cell.run_id, cell.batch_no, cell.cell_no
    """
)


@dataclass(frozen=True, kw_only=True)
class JudgedCell:
    """A cell and the class that a person gave it last."""

    run_id: int
    batch_no: int
    cell_no: int
    x_l0: float
    y_l0: float
    cell_class: str
    called: str | None  # by the model; None: it would not call
    made_by: str
    disputed: bool  # persons disagree


@dataclass(frozen=True, kw_only=True)
class JudgedSlide:
    """A slide with the cells on it that persons judged."""

    slide_id: int
    patient_id: int
    obj: StoredObject
    files: tuple[StoredObject, ...]
    sha256: str | None
    plan: Mapping[str, Any]
    cells: tuple[JudgedCell, ...]


def judged_slides(conn: Connection, *, lab: str | None = None, patient: str | None = None) -> Iterator[JudgedSlide]:
    """Yield the current slides of a lab, a patient or all with the judged cells of the readings that reports show."""
    rows = conn.execute(_CELLS, {"lab": lab, "patient": patient}).all()
    for slide_id, group in groupby(rows, key=lambda row: int(row.slide_id)):
        found = list(group)
        stored = conn.execute(select(slide).where(slide.c.id == slide_id)).one()
        yield JudgedSlide(
            slide_id=slide_id,
            patient_id=found[0].patient_id,
            obj=stored_object(stored),
            files=files_of(conn, stored),
            sha256=stored.sha256,
            plan=found[0].plan,
            cells=tuple(
                JudgedCell(
                    run_id=row.run_id,
                    batch_no=row.batch_no,
                    cell_no=row.cell_no,
                    x_l0=row.x_l0,
                    y_l0=row.y_l0,
                    cell_class=row.cell_class,
                    called=None if row.abstained else row.called,
                    made_by=row.made_by,
                    disputed=row.disputed,
                )
                for row in found
            ),
        )
