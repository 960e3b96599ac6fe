"""Tables of a patient out of a real database, read as a spreadsheet or pandas would."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import runs
from db.cases import Case, case_of
from db.counts import Tally, Verdict
from db.records import Batch
from db.session import make_engine, transaction
from tests.support import rows
from tests.support.peak import peak_bytes
from tests.support.rows import add, add_slide, cell, decide, read, stored
from tests.support.workshops import read_many, workshop_on
from worker.errors import ServiceError
from worker.outputs.tables import write

USE = "research use only, not for diagnostic procedures"


def tables_of(lab: Engine, folder: Path, patient: str = "patient") -> dict[str, list[dict[str, str]]]:
    """Return the tables by what they hold."""
    told: list[tuple[str, int, int]] = []
    paths = write(workshop_on(lab, folder), case(lab, patient), folder, lambda *at: told.append(at))
    found = {}
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            found[path.name.split("-")[0]] = list(csv.DictReader(file))
    cells = len(found["cells"])
    assert told[-1:] == [(paths[0].name, cells, cells)]
    return found


def case(lab: Engine, patient: str = "patient") -> Case:
    with transaction(lab) as conn:
        return case_of(conn, patient)


def test_cells_stand_with_probabilities_features_and_what_they_may_be_used_for(lab: Engine, tmp_path: Path) -> None:
    run_id = add_slide(lab)
    claim = rows.taken(lab, run_id)
    runs.store_plan(lab, claim, rows.plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=(cell(0, "smudge"), cell(1, "plasma_cell", abstained=True))))
    runs.finish(lab, claim, decide)
    first, second = tables_of(lab, tmp_path)["cells"]
    assert (first["cell_class"], first["abstained"], second["cell_class"], second["abstained"]) == (
        "smudge", "false", "plasma_cell", "true",
    )  # fmt: skip
    assert (second["run_id"], second["cell_no"], second["x_l0"], second["y_l0"]) == (str(run_id), "1", "10.5", "20.25")
    assert (second["p_plasma_cell"], second["p_lymphoblast"], second["probability"]) == ("0.7", "0.1", "0.7")
    assert (second["area_um2"], second["solidity"]) == ("101", "0.5")
    assert {row["use"] for row in (first, second)} == {USE}


def test_the_differential_counts_as_the_finding_does_and_states_the_intervals(engine: Engine, tmp_path: Path) -> None:
    def stating(tally: Tally) -> Verdict:
        shares = {"lymphoblast": {"value": 0.5, "ci_low": 0.01, "ci_high": 0.99}}
        return replace(decide(tally), evidence={"specimens": [{"specimen": "marrow", "shares": shares}]})

    rows.use_model(engine)
    run_id = add_slide(engine)
    claim = rows.taken(engine, run_id)
    runs.store_plan(engine, claim, rows.plan())
    runs.write_batch(engine, claim, rows.batch(classes=["lymphoblast", "lymphocyte", "smudge"]))
    runs.finish(engine, claim, stating)
    found = {row["cell_class"]: row for row in tables_of(engine, tmp_path)["differential"]}
    assert found.keys() == {"lymphoblast", "lymphocyte", "smudge"}
    blasts = found["lymphoblast"]
    assert (blasts["called"], blasts["share"], blasts["ci_low"], blasts["ci_high"]) == ("1", "0.5", "0.01", "0.99")
    assert (found["smudge"]["counted"], found["smudge"]["share"], found["lymphocyte"]["ci_low"]) == ("false", "", "")


def test_slides_without_a_result_are_listed_with_their_cause(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab), ["lymphoblast"])
    run_id = add_slide(lab, "b")
    runs.fail(lab, rows.taken(lab, run_id), code="blank", cause="bare glass", remedy="Scan it again.", decide=decide)
    first, second = tables_of(lab, tmp_path)["slides"]
    assert (first["key"], first["state"], first["cells"]) == ("lab/patient/a.tif", "done", "1")
    assert datetime.fromisoformat(first["finished_at"]).tzinfo is not None
    assert "T" in first["finished_at"]
    assert (second["state"], second["error_code"], second["reason"], second["cells"]) == (
        "quarantined", "blank", "bare glass", "",
    )  # fmt: skip


@pytest.mark.parametrize("key", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_is_run_by_a_spreadsheet(lab: Engine, tmp_path: Path, key: str) -> None:
    with transaction(lab) as conn:
        run_id = add(conn, stored(key))
    read(lab, run_id)
    (slide,) = tables_of(lab, tmp_path)["slides"]
    assert slide["key"] == f"'{key}"


def test_a_patient_whose_slides_change_meanwhile_has_no_table_of_cells(lab: Engine, tmp_path: Path) -> None:
    read(lab, add_slide(lab), ["lymphoblast"])
    found = case(lab)
    rows.execute(lab, "DELETE FROM outline")
    rows.execute(lab, "DELETE FROM cell")
    with pytest.raises(ServiceError, match="changed while it was written"):
        write(workshop_on(lab, tmp_path), found, tmp_path, lambda *_: None)
    assert not list(tmp_path.glob("*.csv*"))


def test_memory_does_not_grow_with_the_cells(lab: Engine, tmp_path: Path) -> None:
    taken = []
    for cells in (2_000, 40_000):
        folder = tmp_path / str(cells)
        folder.mkdir()
        read_many(lab, cells, patient=folder.name)
        taken.append(peak_bytes(write_from, lab.url.render_as_string(hide_password=False), folder))
    assert taken[1] - taken[0] < 12 * 2**20


def write_from(url: str, folder: Path) -> None:
    engine = make_engine(url)
    write(workshop_on(engine, folder), case(engine, folder.name), folder, lambda *_: None)
