"""Words that were put in behind the program's back, or under an older version, come to bear on the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import corrections, patients, proofs
from db.corrections import Said
from db.rejudging import judge_corrected
from db.session import transaction
from scheduler.prepare import prepare
from tests.support.models import write_tiny_model
from tests.support.rows import add_slide, decide, execute, read, scalar
from worker.rules import DEFAULT_RULE

TEN = ("lymphoblast",) + ("lymphocyte",) * 9
REASONS = "SELECT string_agg(reason, ', ' ORDER BY patient) FROM report.patients"


def say(engine: Engine, cell_class: str, run: int) -> None:
    word = Said(where="line 1", run_id=run, batch_no=0, cell_no=1, cell_class=cell_class)
    with transaction(engine) as conn:
        corrections.record(conn, [word], "ada", decide)


def put_in(engine: Engine, run_id: int) -> None:
    """Put a word in as SQL did before there were imports; the migration says for which cell it stands."""
    execute(
        engine,
        "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class)"
        f" VALUES ({run_id}, 0, 1, 'ada', 'lymphoblast');"
        f"INSERT INTO corrected_cell SELECT {run_id}, 0, 1, 'lymphoblast', 'lymphocyte', false, max(id)"
        " FROM correction",
    )


def test_only_verdicts_that_do_not_rest_on_the_words_are_judged_anew(lab: Engine) -> None:
    for patient in ("p1", "p2", "p3"):
        read(lab, add_slide(lab, patient=patient), TEN)
    put_in(lab, 1)
    say(lab, "lymphoblast", run=2)
    assert scalar(lab, REASONS) == "1 of 10, 2 of 10, 1 of 10"
    assert judge_corrected(lab, decide) == [1]
    assert scalar(lab, REASONS) == "2 of 10, 2 of 10, 1 of 10"
    assert scalar(lab, "SELECT count(*) FROM verdict_history WHERE patient_id = 1 AND reason = '2 of 10'") == 1
    assert judge_corrected(lab, decide) == []


def test_a_verdict_of_a_version_that_did_not_tell_judged_cells_apart_is_judged_anew(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    say(lab, "lymphoblast", run=1)
    execute(lab, "UPDATE verdict SET inputs_digest = repeat('0', 64), rev = rev + 1")
    execute(lab, "INSERT INTO verdict_history SELECT * FROM verdict; UPDATE patient SET rev = rev + 1")
    assert judge_corrected(lab, decide) == [1]
    with transaction(lab) as conn:
        now = patients.digest(patients.tally(conn, 1, 1))
        assert proofs.miscounted(conn, [1]) == {1: []}
    assert scalar(lab, "SELECT inputs_digest FROM verdict") == now


def test_the_tally_tells_judged_cells_by_call_and_class_given(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    read(lab, add_slide(lab, "b"), TEN)
    for cell_class, run in (("lymphoblast", 1), ("lymphocyte", 2)):
        say(lab, cell_class, run=run)
    with transaction(lab) as conn:
        (specimen,) = patients.tally(conn, 1, 1).specimens
    assert specimen.judged == {"lymphocyte": {"lymphoblast": 1, "lymphocyte": 1}}
    assert specimen.counts == {"lymphoblast": 3, "lymphocyte": 17}
    assert [one.counts for one in specimen.slides] == [
        {"lymphoblast": 2, "lymphocyte": 8},
        {"lymphoblast": 1, "lymphocyte": 9},
    ]


def test_an_upgrade_judges_them_anew(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_model(tmp_path, name="m1")
    monkeypatch.setenv("MARROWLINE_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("MARROWLINE_MODEL", "m1")
    prepare(engine)
    read(engine, add_slide(engine), TEN)
    execute(engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    put_in(engine, 1)
    assert prepare(engine) == "m1"
    assert scalar(engine, "SELECT evidence #> '{persons,specimens,0,changed}' FROM verdict") == 1
