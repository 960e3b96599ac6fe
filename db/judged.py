"""Cells that persons judged, with the slides that they lie on: what a set to train on is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, select, text

from db import corrections
from db.disputes import Place, Word, Words
from db.records import StoredObject
from db.steps import files_of, stored_object
from db.tables import slide

_CELLS = text(
    """
    SELECT slide.id AS slide_id, slide.patient_id, run.plan, run.mpp_um, cell.run_id, cell.batch_no, cell.cell_no,
           cell.x_l0, cell.y_l0, corrected_cell.cell_class, corrected_cell.called, corrected_cell.abstained,
           word.id AS word, word.made_by
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
# Words of old have no place of their own: theirs is that of the cell that bears their number.
_WORDS = text(
    """
    SELECT * FROM (
      SELECT word.id, word.made_by, word.cell_class,
             coalesce(word.x_l0, (SELECT x_l0 FROM cell WHERE (cell.run_id, cell.batch_no, cell.cell_no)
                                                            = (word.run_id, word.batch_no, word.cell_no))) AS x_l0,
             coalesce(word.y_l0, (SELECT y_l0 FROM cell WHERE (cell.run_id, cell.batch_no, cell.cell_no)
                                                            = (word.run_id, word.batch_no, word.cell_no))) AS y_l0
        FROM correction AS word JOIN run ON run.id = word.run_id WHERE run.slide_id = :slide_id
    ) AS placed WHERE x_l0 IS NOT NULL AND y_l0 IS NOT NULL
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
    disputed: bool  # persons disagree, be it on another reading of the slide


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
        said = _words(conn, slide_id, corrections.REACH_UM / found[0].mpp_um)
        yield JudgedSlide(
            slide_id=slide_id,
            patient_id=found[0].patient_id,
            obj=stored_object(stored),
            files=files_of(conn, stored),
            sha256=stored.sha256,
            plan=found[0].plan,
            cells=tuple(_cell(row, said) for row in found),
        )


def _words(conn: Connection, slide_id: int, reach_l0: float) -> tuple[Words, Mapping[int, Place]]:
    """Return what was said on a slide, and the place of each word by its number."""
    said = [
        Word(number=row.id, made_by=row.made_by, cell_class=row.cell_class, place_l0=(row.x_l0, row.y_l0))
        for row in conn.execute(_WORDS, {"slide_id": slide_id})
    ]
    return Words(said, reach_l0), {one.number: one.place_l0 for one in said}


def _cell(row: Row[Any], said: tuple[Words, Mapping[int, Place]]) -> JudgedCell:
    words, place_of = said
    return JudgedCell(
        run_id=row.run_id,
        batch_no=row.batch_no,
        cell_no=row.cell_no,
        x_l0=row.x_l0,
        y_l0=row.y_l0,
        cell_class=row.cell_class,
        called=None if row.abstained else row.called,
        made_by=row.made_by,
        # The word may have been said of another reading, where the nucleus was found a little beside.
        disputed=words.disputed([(row.x_l0, row.y_l0), place_of[row.word]]),
    )
