"""The tables on a real database: corrections beside calls, and a name that nobody knows is not an empty database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.corrections import Said, record
from db.errors import NotFoundError
from db.session import transaction
from scheduler.commands import agreement, cancel, corrections, report, rules, tables, trouble
from tests.support.commands import runner
from tests.support.rows import add_slide, decide, execute, read
from worker.rules import DEFAULT_RULE

NO_LAB = "No lab nolab: there is lab."
NO_PATIENT = "No patient 'nobody': `marrowline patients` shows those that there are."


UNSEEN: Sequence[tuple[Callable[..., None], Sequence[str], str]] = (
    (tables.patients, ["--lab", "nolab"], NO_LAB),
    (tables.patients, ["--patient", "nobody"], NO_PATIENT),
    (tables.patients, ["--offset", "9"], "Nothing beyond the first 9 rows."),
    (tables.slides, ["--lab", "nolab", "--state", "done"], NO_LAB),
    (tables.slides, ["--patient", "nobody"], NO_PATIENT),
    (tables.slides, ["--state", "quarantined"], "No slide is quarantined."),
    (tables.runs, ["--lab", "nolab"], NO_LAB),
    (tables.runs, ["--state", "retry_wait"], "No run is retry_wait."),
    (tables.cells, ["--patient", "patient", "--class", "basophil"], "No cell was called basophil."),
    (trouble.list_, ["--lab", "nolab"], NO_LAB),
    (trouble.list_, ["--lab", "lab"], "Nothing is in quarantine."),
    (corrections.list_, ["--lab", "nolab", "--disputed"], NO_LAB),
    (corrections.list_, ["--by", "ada"], "No corrections by ada."),
    (corrections.list_, [], "No corrections yet."),
    (agreement.agreement, ["--lab", "nolab"], NO_LAB),
    (agreement.agreement, ["--by", "ada"], "Nobody has judged a cell that was called under the name ada"),
)


@pytest.fixture
def database(lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An empty database that commands are called on."""
    monkeypatch.setenv("MARROWLINE_DATABASE_URL", lab.url.render_as_string(hide_password=False))
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path))
    return lab


@pytest.fixture
def smear(database: Engine) -> Engine:
    """A lab with one patient, one of whose two slides was read."""
    read(database, add_slide(database, "a"))
    add_slide(database, "b")
    execute(database, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    return database


@pytest.mark.usefixtures("smear")
def test_what_is_not_there_is_named() -> None:
    for command, arguments, said in UNSEEN:
        code, out = runner(command)(*arguments)
        assert (code, " ".join(out.split())[: len(said)]) == (0, said)
        assert "research use only" in out
        code, out = runner(command)(*arguments, "--json")
        assert (code, json.loads(out) in ([], {"agreement": [], "confusions": []})) == (0, True)


def test_what_cannot_be_done_without_it_says_the_same(smear: Engine, tmp_path: Path) -> None:
    add_slide(smear, "c", lab="elsewhere", patient="other")
    folder = tmp_path / "reports"
    refused: Sequence[tuple[Callable[..., None], Sequence[object], str]] = (
        (report.report, ["nobody", "--out", folder], "no patient 'nobody'"),
        (report.report, ["patient", "--lab", "nolab", "--out", folder], "no lab nolab: there are elsewhere, lab"),
        (report.report, ["other", "--lab", "lab", "--out", folder], "no patient 'other' of lab lab, but of elsewhere"),
        (tables.cells, ["--patient", "nobody"], "no patient 'nobody'"),
        (tables.cells, ["--patient", "nobody", "--json"], "no patient 'nobody'"),
        (tables.cells, ["--patient", "patient", "--lab", "nolab"], "no lab nolab"),
        (rules.use, ["nolab", DEFAULT_RULE], "no lab nolab: there are elsewhere, lab"),
        (cancel.cancel, ["--patient", "nobody", "--reason", "x"], "no patient 'nobody'"),
    )
    for command, arguments, said in refused:
        with pytest.raises(NotFoundError, match=said):
            runner(command)(*arguments)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(tables.runs, ["--state", "reading"]), (tables.cells, ["--patient", "p", "--class", "x"])],
)
def test_a_word_that_can_never_be_found_is_wrong_usage(command: Callable[..., None], arguments: list[str]) -> None:
    assert runner(command)(*arguments)[0] == 2


@pytest.mark.usefixtures("database")
def test_an_empty_database_has_no_lab_to_name() -> None:
    assert "No lab nolab: no slide of any lab has come yet." in runner(tables.patients)("--lab", "nolab")[1]
    assert "No patients yet." in runner(tables.patients)()[1]


def test_cells_show_what_persons_said_beside_the_call(smear: Engine) -> None:
    read(smear, add_slide(smear, "c", patient="seen"), ["lymphocyte", "lymphocyte", "monocyte"])
    said = [
        Said(where=str(no), run_id=3, batch_no=0, cell_no=no, cell_class=name)
        for no, name in enumerate(("lymphoblast", "lymphocyte"))
    ]
    with transaction(smear) as conn:
        record(conn, said, "ada", decide)
    execute(smear, "UPDATE cell SET abstained = true WHERE run_id = 3 AND cell_no = 2")
    _, out = runner(tables.cells)("--patient", "seen")
    rows = [line.split()[3:] for line in out.splitlines() if line.startswith("lab/")]
    assert [(called, corrected) for called, _, corrected in rows] == [
        ("lymphocyte", "lymphoblast"),
        ("lymphocyte", "lymphocyte"),
        ("monocyte?", "-"),
    ]
    assert "A class with ? was not called" in out
    document = json.loads(runner(tables.cells)("--patient", "seen", "--json")[1])
    assert [one["corrected_class"] for one in document] == ["lymphoblast", "lymphocyte", None]
