"""`marrowline cancel` and `retry` on a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from db.cases import case_of
from db.session import transaction
from tests.support.commands import Command
from tests.support.rows import add, add_slide, execute, read, scalar, stored
from worker.outputs.withdrawal import withdrawal_words


def _states(engine: Engine) -> Any:
    return scalar(engine, "SELECT string_agg(state, ' ' ORDER BY id) FROM run")


def test_a_slide_is_cancelled_with_a_reason_and_taken_back(command: Command, lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    add_slide(lab, "b")
    code, out, _ = command("cancel", "b.tif", "--reason", "wrong patient", "--json")
    assert (code, json.loads(out)) == (0, [{"slide_id": 2, "key": "lab/patient/b.tif", "was": "waiting"}])
    assert _states(lab) == "done cancelled"
    assert (
        scalar(lab, "SELECT state || ': ' || reason FROM report.slides WHERE slide_id = 2")
        == "cancelled: wrong patient"
    )
    assert scalar(lab, "SELECT slides_open FROM report.patients") == 0
    assert command("retry", "2")[0] == 0
    assert _states(lab) == "done pending"


def test_reports_that_were_given_up_are_written_again(
    command: Command, lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARROWLINE_BUCKET", str(tmp_path))
    for name in ("p", "q"):
        read(lab, add_slide(lab, name, patient=name))
    execute(lab, "UPDATE report_page SET tries = 8, error_code = 'store_refused' WHERE patient_id = 1")
    code, out, _ = command("retry", "--reports", "--json")
    assert (code, json.loads(out)) == (0, [{"lab": "lab", "patient": "p"}])
    assert scalar(lab, "SELECT count(*) FROM report_page WHERE tries = 0 AND error_code IS NULL") == 2
    assert "No report was given up" in command("retry", "--reports")[1]


def test_a_retry_is_of_a_slide_or_of_reports(command: Command) -> None:
    for arguments in ((), ("1", "--reports"), ("1", "--all"), ("--all",)):
        code, _, err = command("retry", *arguments)
        assert (code, "name the slide" in err) == (2, True)


def test_all_slides_of_a_patient_are_cancelled(command: Command, lab: Engine) -> None:
    for name in "ab":
        add_slide(lab, name)
    add_slide(lab, "c", patient="other")
    assert command("cancel", "--patient", "patient", "--reason", "withdrew consent")[0] == 0
    assert _states(lab) == "cancelled cancelled pending"
    with transaction(lab) as conn:
        first, second = (case_of(conn, name) for name in ("patient", "other"))
    assert [one.reason for one in first.withdrawn] == ["withdrew consent"] * 2
    assert (first.all_withdrawn, second.all_withdrawn) == (True, False)


def test_a_cancelled_slide_whose_object_was_replaced_is_no_withdrawn_one(command: Command, lab: Engine) -> None:
    add_slide(lab)
    assert command("cancel", "a.tif", "--reason", "torn")[0] == 0
    with transaction(lab) as conn:
        assert [one.reason for one in case_of(conn, "patient").withdrawn] == ["torn"]
        add(conn, stored(etag="e2", day=1))
    read(lab, 2)
    with transaction(lab) as conn:
        case = case_of(conn, "patient")
    assert [(one.state, one.object_state) for one in case.slides] == [("cancelled", "superseded"), ("done", "current")]
    assert (case.withdrawn, withdrawal_words(case)) == ((), "")


def test_a_patient_of_two_labs_needs_the_lab(command: Command, lab: Engine) -> None:
    for name in ("north", "south"):
        add_slide(lab, lab=name)
    code, _, err = command("cancel", "--patient", "patient", "--reason", "x")
    assert (code, "--lab" in err) == (2, True)
    assert command("cancel", "--patient", "patient", "--lab", "north", "--reason", "x")[0] == 0
    assert _states(lab) == "cancelled pending"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--reason", "x"], 2, "--patient"),
        (["a.tif", "--patient", "p", "--reason", "x"], 2, "--patient"),
        (["a.tif", "--reason", " "], 2, "--reason is empty"),
        (["a.tif"], 2, "--reason"),
        (["nothing.tif", "--reason", "x"], 1, "no slide"),
        (["--patient", "nobody", "--reason", "x"], 1, "nobody"),
    ],
)
def test_what_cannot_be_cancelled_is_told(
    command: Command, lab: Engine, arguments: list[str], code: int, told: str
) -> None:
    add_slide(lab)
    found, _, err = command("cancel", *arguments)
    assert (found, told in " ".join(err.split())) == (code, True), err
    assert _states(lab) == "pending"
