"""Cells that are written for QuPath and given back: what a person changed counts, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from db import agreement
from db.cases import case_of
from db.records import Batch
from db.runs import finish, store_plan, write_batch
from db.session import transaction
from scheduler.corrections.take_in import Imported, Reading, take_in
from tests.support.rows import add_slide, cell, decide, plan, scalar, taken
from tests.support.workshops import workshop_on
from worker.cell_ids import MARK
from worker.outputs.geojson import write as geojson
from worker.workshop import Workshop

L, P, N = "lymphoblast", "plasma_cell", "lymphocyte"


@pytest.fixture
def workshop(lab: Engine, tmp_path: Path) -> Workshop:
    return workshop_on(lab, tmp_path)


def read_slide(engine: Engine, called: list[tuple[str, bool]], patient: str) -> int:
    """Read a slide of cells called so, or abstained; return its run."""
    run_id = add_slide(engine, patient=patient)
    claim = taken(engine, run_id)
    store_plan(engine, claim, plan())
    cells = [cell(no, name, abstained=abstained) for no, (name, abstained) in enumerate(called)]
    write_batch(engine, claim, Batch(no=0, cells=tuple(cells)))
    finish(engine, claim, decide)
    return run_id


def export(workshop: Workshop, patient: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    with transaction(workshop.engine) as conn:
        case = case_of(conn, patient)
    (path,) = geojson.write(workshop, case, folder, lambda *_: None)
    return path


def in_qupath(path: Path, changes: dict[int, str], *, delete: frozenset[int] = frozenset()) -> Path:
    """Give cells other classes, take some away, and save as QuPath does: what it does not know is gone."""
    kept = []
    for feature in json.loads(path.read_text())["features"]:
        no = int(feature["properties"]["metadata"][MARK].rpartition("/")[2])
        if no in changes:
            feature["properties"]["classification"] = {"name": changes[no], "color": [200, 0, 0]}
        if no not in delete:
            kept.append(feature)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": kept}, indent=2))
    return path


def given_back(workshop: Workshop, path: Path, by: str = "ada", **how: Any) -> Imported:
    return take_in(workshop.engine, path, by, decide, Reading(**how))


def counted(engine: Engine, run_id: int) -> dict[str, int]:
    """Return the counted cells per class; abstained ones under a name of their own."""
    rows = (
        f"SELECT jsonb_object_agg(cell_class, called) FROM run_count_effective WHERE run_id = {run_id} AND called > 0"
    )
    left = f"SELECT coalesce(sum(abstained), 0) FROM run_count_effective WHERE run_id = {run_id}"
    return (scalar(engine, rows) or {}) | {"abstained": int(scalar(engine, left))}


def test_finding_counts_and_agreement_are_those_computed_by_hand(workshop: Workshop, tmp_path: Path) -> None:
    called = [(L, False)] * 10 + [(N, False)] * 87 + [(N, True)] * 3
    run_id = read_slide(workshop.engine, called, "patient")
    changes = {0: "Lymphocyte", 1: "Artifact", **dict.fromkeys(range(10, 25), L), 97: L, 98: "plasma cell"}
    path = in_qupath(export(workshop, "patient", tmp_path / "out"), changes, delete=frozenset({30}))
    found = given_back(workshop, path, reviewed=True, deleted=True)
    # Blasts: 10 - 2 + 15 + 1 = 24. Lymphocytes: 87 + 1 - 15 - 1 deleted = 72. One plasma cell; one still abstained.
    assert counted(workshop.engine, run_id) == {L: 24, N: 72, P: 1, "artefact": 2, "abstained": 1}
    # Changed: 2 blasts, 15 lymphocytes, 2 abstained ones, 1 deleted; the other 97 - 18 called cells are confirmed.
    assert (found.recorded.changed, found.recorded.confirmed, found.untouched) == (20, 79, 1)
    assert scalar(workshop.engine, "SELECT finding FROM report.patients") == "consistent_with_ALL"
    with transaction(workshop.engine) as conn:
        (whole,) = [one for one in agreement.agreement(conn, made_by="ada") if one.cell_class is None]
    # Called 10 L and 87 N of 97; given 8 + 15 = 23 L, 72 N, 2 artefacts; agreed 8 L + 71 N.
    chance = (10 * 23 + 87 * 72) / 97**2
    assert (whole.cells, whole.agreed, whole.abstained) == (97, 79, 2)
    assert whole.kappa == pytest.approx((79 / 97 - chance) / (1 - chance))


def test_a_colleagues_correction_is_not_undone_by_a_file_exported_before_it(workshop: Workshop, tmp_path: Path) -> None:
    run_id = read_slide(workshop.engine, [(N, False)] * 5, "patient")
    early = in_qupath(export(workshop, "patient", tmp_path / "ben"), {1: L})
    given_back(workshop, in_qupath(export(workshop, "patient", tmp_path / "ada"), {0: P}))
    given_back(workshop, early, by="ben")
    assert counted(workshop.engine, run_id) == {N: 3, P: 1, L: 1, "abstained": 0}


def test_a_correction_is_shown_by_the_next_export_and_can_be_taken_back(workshop: Workshop, tmp_path: Path) -> None:
    run_id = read_slide(workshop.engine, [(N, False), (N, True)], "patient")
    given_back(workshop, in_qupath(export(workshop, "patient", tmp_path / "1"), {0: P, 1: L}))
    second = export(workshop, "patient", tmp_path / "2")
    shown = [one["properties"]["classification"]["name"] for one in json.loads(second.read_text())["features"]]
    assert shown == [P, L]
    assert given_back(workshop, second).recorded.changed == 0
    given_back(workshop, in_qupath(second, {0: N}))
    assert counted(workshop.engine, run_id) == {N: 1, L: 1, "abstained": 0}


NAMES = st.sampled_from([L, P, N, "smudge"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    called=st.lists(st.tuples(NAMES, st.booleans()), min_size=1, max_size=8),
    changes=st.dictionaries(st.integers(0, 7), NAMES),
    twice=st.booleans(),
)
def test_any_changes_come_back_as_they_were_made(
    workshop: Workshop, tmp_path: Path, called: list[tuple[str, bool]], changes: dict[int, str], *, twice: bool
) -> None:
    patient = f"p{scalar(workshop.engine, 'SELECT count(*) FROM patient')}"
    run_id = read_slide(workshop.engine, called, patient)
    path = in_qupath(export(workshop, patient, tmp_path / patient), changes)
    for _ in range(1 + twice):
        given_back(workshop, path)
    wanted = {"abstained": 0}
    for no, (name, abstained) in enumerate(called):
        now = changes.get(no, "abstained" if abstained else name)
        wanted[now] = wanted.get(now, 0) + 1
    assert counted(workshop.engine, run_id) == wanted
