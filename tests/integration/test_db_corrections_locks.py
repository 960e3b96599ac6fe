"""Words are taken in beside readings of the same slide: these go on, and whichever ends last sees the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from db import corrections, runs
from db.corrections import Said
from db.records import Claim
from db.session import transaction
from tests.support.line import eventually
from tests.support.rows import MODEL, add_slide, batch, decide, plan, read, scalar, taken, use_model

TEN = ("lymphoblast",) + ("lymphocyte",) * 9
WORD = Said(where="line 1", run_id=1, batch_no=0, cell_no=1, cell_class="plasma_cell")
COUNTED = "SELECT array_agg(run_id ORDER BY run_id) FROM corrected_cell"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


@pytest.fixture
def claim(lab: Engine) -> Claim:
    """The hold on another model version's reading of a slide that was read before."""
    read(lab, add_slide(lab), TEN)
    use_model(lab, replace(MODEL, name="m2", weights_sha256="c" * 64))
    held = taken(lab, 2)
    runs.store_plan(lab, held, plan())
    return held


def say(conn: Connection) -> None:
    corrections.record(conn, [WORD], "ada", decide)


def test_a_reading_of_the_slide_goes_on_while_words_are_taken_in(lab: Engine, claim: Claim) -> None:
    with transaction(lab) as conn:
        say(conn)
        assert runs.heartbeat(lab, claim)
        runs.write_batch(lab, claim, batch(classes=TEN))
    runs.finish(lab, claim, decide)
    assert scalar(lab, COUNTED) == [1, 2]


def test_a_reading_that_ends_waits_for_the_words_that_are_being_taken_in(lab: Engine, claim: Claim) -> None:
    runs.write_batch(lab, claim, batch(classes=TEN))
    with ThreadPoolExecutor(1) as pool:
        with transaction(lab) as conn:
            say(conn)
            end = pool.submit(runs.finish, lab, claim, decide)
            eventually(lambda: bool(scalar(lab, WAITING)), within_s=60, what="the reading's end waits")
        end.result()
    assert scalar(lab, COUNTED) == [1, 2]
    assert scalar(lab, "SELECT reason FROM report.patients") == "1 of 10"


def test_words_wait_for_a_slide_that_goes_to_another_patient_and_are_judged_there(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    add_slide(lab, "other", patient="p2")
    with ThreadPoolExecutor(1) as pool:
        with transaction(lab) as conn:
            conn.exec_driver_sql("SELECT FROM patient WHERE id = 1 FOR UPDATE")
            said = pool.submit(_record, lab)
            eventually(lambda: bool(scalar(lab, WAITING)), within_s=60, what="the words wait for the patient")
            conn.exec_driver_sql("UPDATE slide SET patient_id = 2 WHERE id = 1")
        assert said.result() == (2,)


def test_the_same_file_given_twice_at_once_is_taken_in_once(lab: Engine) -> None:
    read(lab, add_slide(lab), TEN)
    with ThreadPoolExecutor(1) as pool:
        with transaction(lab) as conn:
            say(conn)
            again = pool.submit(_record, lab)
            eventually(lambda: bool(scalar(lab, WAITING)), within_s=60, what="the second file waits")
        assert again.result() == ()
    assert scalar(lab, "SELECT count(*) FROM correction") == 1


def _record(engine: Engine) -> tuple[int, ...]:
    with transaction(engine) as conn:
        return corrections.record(conn, [WORD], "ada", decide).patients
