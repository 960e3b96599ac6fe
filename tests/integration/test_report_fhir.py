"""The bundle of a patient out of a real database."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Engine

from db import runs
from db.cases import case_of
from db.records import Batch
from db.session import transaction
from tests.support.rows import add_slide, cell, decide, execute, plan, taken
from tests.support.workshops import workshop_on
from worker.outputs.fhir.write import bundle_of, write


def test_a_file_says_what_persons_named_under_a_name_that_says_nothing_of_the_patient(
    lab: Engine, tmp_path: Path
) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=(cell(0, "lymphoblast"), cell(1, "lymphoblast", abstained=True))))
    runs.finish(lab, claim, decide)
    execute(
        lab,
        "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class) VALUES (1, 0, 1, 'p', 'monocyte');"
        "INSERT INTO corrected_cell (run_id, batch_no, cell_no, cell_class, called, abstained, correction_id)"
        " VALUES (1, 0, 1, 'monocyte', 'lymphoblast', true, 1)",
    )
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
    told: list[tuple[str, int, int]] = []
    (path,) = write(workshop_on(lab, tmp_path), case, tmp_path, lambda *at: told.append(at))
    assert json.loads(path.read_text(encoding="utf-8")) == bundle_of(case, {case.slides[0].specimen: 1})
    assert told == [(path.name, 1, 1)]
    assert "patient" not in path.name
