"""`marrowline corrections` and `agreement` on a real database: files in, findings and kappa as computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler import cli
from tests.support.commands import Command
from tests.support.exported import collection, feature
from tests.support.rows import add_slide, execute, read, scalar

L, N = "lymphoblast", "lymphocyte"
CALLED = [L] * 60 + [N] * 540
"""10 % blasts of 600 cells: below the rule's 20 %, and far enough from it."""


@pytest.fixture
def smear(lab: Engine) -> Engine:
    """A patient with one slide of 600 cells."""
    read(lab, add_slide(lab), CALLED)
    return lab


def exported(path: Path, changes: dict[int, str | None] | None = None) -> Path:
    """Write the slide as the export does, some cells' classes changed since, those changed to None deleted."""
    changes = changes or {}
    now = {no: changes.get(no, name) for no, name in enumerate(CALLED)}
    return collection(path, [feature(1, no, name, seen=CALLED[no]) for no, name in now.items() if name])


def document(answer: tuple[int, str, str]) -> Any:
    code, out, err = answer
    assert code == 0, err
    return json.loads(out)


@pytest.mark.usefixtures("smear")
def test_what_a_person_changed_in_qupath_changes_the_finding_and_the_agreement(
    command: Command, tmp_path: Path
) -> None:
    file = exported(tmp_path / "slide-1.geojson", dict.fromkeys(range(60, 240), L))
    found = document(command("corrections", "import", file, "--by", "ada", "--reviewed", "--json"))
    (patient,) = found["patients"]
    assert found["files"][0] | {"file": ""} == {
        "file": "",
        "changed": 180,
        "confirmed": 420,
        "nothing_new": 0,
        "without_class": 0,
        "not_ours": 0,
    }
    # 60 + 180 of 600 are blasts now: 40 %, exact interval far above 20 %.
    assert patient["finding"] == "consistent_with_ALL"
    assert patient["shares"]["lymphoblast"]["value"] == pytest.approx(0.4)
    (whole,) = [
        row
        for row in document(command("agreement", "--json"))["agreement"]
        if row["cell_class"] is None and row["made_by"] == "ada"
    ]
    # p_o = 420/600 = 0.7; blasts 0.1 called, 0.4 given: p_e = 0.1 . 0.4 + 0.9 . 0.6 = 0.58; kappa = 0.12 / 0.42.
    assert (whole["cells"], whole["agreed"]) == (600, 420)
    assert whole["kappa"] == pytest.approx(0.12 / 0.42)


def test_the_same_file_twice_changes_nothing(command: Command, smear: Engine, tmp_path: Path) -> None:
    file = exported(tmp_path / "a.geojson", {60: L})
    assert "1 changed, 599 nothing new" in command("corrections", "import", file, "--by", "ada")[1]
    before = scalar(smear, "SELECT max(seq) FROM audit")
    code, out, _ = command("corrections", "import", file, "--by", "ada")
    assert (code, "600 nothing new" in out, "every finding stays" in out) == (0, True, True)
    assert scalar(smear, "SELECT max(seq) FROM audit") == before


def test_a_cell_deleted_in_qupath_is_an_artefact_only_when_the_person_says_that_it_was(
    command: Command, smear: Engine, tmp_path: Path
) -> None:
    file = exported(tmp_path / "a.geojson", {0: None, 1: None})
    assert document(command("corrections", "import", file, "--by", "ada", "--json"))["files"][0]["changed"] == 0
    found = document(command("corrections", "import", file, "--by", "ada", "--deleted", "--json"))
    assert found["files"][0]["changed"] == 2
    assert found["patients"][0]["cells"] == 598
    assert scalar(smear, "SELECT array_agg(note || ' ' || cell_class) FROM correction") == ["deleted artefact"] * 2


def test_a_part_of_a_reading_is_not_taken_for_the_whole(command: Command, smear: Engine, tmp_path: Path) -> None:
    file = collection(tmp_path / "a.geojson", [feature(1, no, L) for no in range(10)])
    code, _, err = command("corrections", "import", file, "--by", "ada", "--deleted")
    assert (code, "lacks 590 of the 600 cells" in err) == (2, True)
    assert scalar(smear, "SELECT count(*) FROM correction") == 0


def test_a_table_by_place_finds_the_nearest_cell(command: Command, smear: Engine, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("slide,x,y,class,note\nlab/patient/a.tif,632.5,19,lymphoblast,nucleoli\n")
    assert document(command("corrections", "import", file, "--by", "ada", "--json"))["files"][0]["changed"] == 1
    assert scalar(smear, "SELECT cell_no || ' ' || note FROM correction") == "60 nucleoli"


@pytest.mark.parametrize(
    ("rows", "code", "told"),
    [
        ("run,batch,cell,class\n1,0,60,smudge\n1,0,9999,smudge\n", 1, "a.csv, line 3: reading 1 has no cell 9999"),
        ("run,batch,cell,class\n1,0,60,smudge\n1,0,60,smudge\n", 1, "line 3: the cell is the one of a.csv, line 2"),
        ("run,batch,cell,class\n1,3000000000,1,smudge\n", 1, "a.csv, line 2"),
        ("run,batch,cell,class\n1,0,60,smudge\n1,0,61,blast\n", 2, "a.csv, line 3: 'blast' is no class"),
        ("slide,x,y,class\nlab/patient/a.tif,10,90,smudge\n", 1, "line 2: no cell within 5 µm of (10, 90)"),
        ("slide,x,y,class\nnone.tif,10,90,smudge\n", 1, "line 2: no slide 'none.tif'"),
    ],
)
def test_one_row_that_does_not_fit_refuses_the_whole_file(
    command: Command, smear: Engine, tmp_path: Path, rows: str, code: int, told: str
) -> None:
    (tmp_path / "a.csv").write_text(rows)
    found, _, err = command("corrections", "import", tmp_path / "a.csv", "--by", "ada")
    assert found == code
    assert told in " ".join(err.split())
    assert scalar(smear, "SELECT count(*) FROM correction") == 0


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb"])
@pytest.mark.usefixtures("smear")
def test_who_says_it_must_have_a_name(command: Command, tmp_path: Path, name: str) -> None:
    code, _, err = command("corrections", "import", exported(tmp_path / "a.geojson"), "--by", name)
    assert (code, "--by" in err) == (2, True)


@pytest.mark.usefixtures("smear")
def test_disputes_and_words_are_listed(command: Command, tmp_path: Path) -> None:
    for by, name in (("ada", L), ("ben", "smudge")):
        command("corrections", "import", exported(tmp_path / "a.geojson", {60: name}), "--by", by)
    (dispute,) = document(command("corrections", "list", "--disputed", "--json"))
    assert (dispute["words"], dispute["last_class"]) == ({"ada": L, "ben": "smudge"}, "smudge")
    words = document(command("corrections", "list", "--by", "ada", "--json"))
    assert [(one["called"], one["cell_class"], one["counts"]) for one in words] == [(N, L, False)]
    code, out, _ = command("corrections", "list")
    assert (code, "1/0/60" in out, cli.NOTICE in out) == (0, True, True)
    assert "ada: lymphoblast, ben: smudge" in command("corrections", "list", "--disputed")[1]


@pytest.mark.usefixtures("smear")
def test_agreement_of_changes_alone_is_said_to_mean_nothing(command: Command, tmp_path: Path) -> None:
    command("corrections", "import", exported(tmp_path / "a.geojson", {60: L}), "--by", "ada")
    code, out, _ = command("agreement", "--lab", "lab")
    assert (code, "Only changed, never confirmed by ada" in out) == (0, True)
    assert "Nobody has judged" in command("agreement", "--by", "nobody")[1]


def test_judged_cells_are_exported_into_a_new_folder_only(command: Command, smear: Engine, tmp_path: Path) -> None:
    command("corrections", "import", exported(tmp_path / "a.geojson", {60: L, 61: L}), "--by", "ada")
    execute(smear, """UPDATE run SET plan = '{"plane": {}, "stain": {}}'""")
    found = document(command("corrections", "export", "patient", "--out", tmp_path / "set", "--json"))
    assert (found["cells"], found["disputed"], found["damaged"]) == ({}, 0, 2), "no such slide lies in the bucket"
    code, _, err = command("corrections", "export", "patient", "--out", tmp_path / "set")
    assert (code, "not empty" in err) == (2, True)
    code, _, err = command("corrections", "export", "nobody", "--out", tmp_path / "other")
    assert (code, "judged by a person" in " ".join(err.split())) == (2, True)
