"""A verdict never outlives its facts, and is exact whoever finishes when."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from time import sleep

import pytest
from sqlalchemy import Connection, Engine

from db import labs, models, patients, runs
from db.counts import SpecimenTally, Tally, Verdict
from db.errors import NotAllowedError, NotFoundError
from db.records import Batch, Claim, Specimen
from db.session import transaction
from tests.support.rows import (
    MODEL,
    add,
    add_slide,
    batch,
    cell,
    decide,
    execute,
    plan,
    read,
    scalar,
    standing,
    stored,
    taken,
    use_model,
)

MODEL_2 = replace(MODEL, name="m2", weights_sha256="c" * 64)

CHANGES: dict[str, Callable[[Connection], object]] = {
    "one more slide": lambda conn: add(conn, stored("lab/patient/new.tif")),
    "one missing": lambda conn: runs.mark_missing(conn, 1, decide),
    "one overwritten": lambda conn: add(conn, stored("lab/patient/a.tif", etag="e2")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_finished_patient_is_incomplete_in_the_transaction_that_opens_a_slide(lab: Engine, change: str) -> None:
    read(lab, add_slide(lab, "a"))
    with transaction(lab) as conn:
        assert standing(conn).finding == "no_evidence"
        CHANGES[change](conn)
        assert standing(conn).finding == "incomplete"
        assert standing(conn).open == 1


def test_quarantine_makes_incomplete_and_a_retry_keeps_it_so_until_done(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    second = add_slide(lab, "b")
    runs.fail(lab, taken(lab, second), code="x", cause="x", remedy="x", decide=decide)
    with transaction(lab) as conn:
        found = standing(conn)
        assert (found.finding, found.done, found.open, found.quarantined) == ("incomplete", 1, 0, 1)
        runs.requeue(conn, second, decide)
        assert (standing(conn).finding, standing(conn).open, standing(conn).quarantined) == ("incomplete", 1, 0)
    read(lab, second)
    with transaction(lab) as conn:
        assert standing(conn).finding == "no_evidence"


def test_a_lost_workers_last_run_makes_incomplete_by_quarantine(lab: Engine) -> None:
    run_id = add_slide(lab)
    for _ in range(3):
        taken(lab, run_id)
        execute(lab, "UPDATE run SET lease_until = now() - interval '1 s'")
    with transaction(lab) as conn:
        assert runs.due(conn, 10) == []
        assert runs.expire(conn, decide) == [run_id]
        assert runs.expire(conn, decide) == []
        assert standing(conn).quarantined == 1


def test_a_refused_step_leaves_the_verdict_alone(lab: Engine) -> None:
    read(lab, add_slide(lab))
    before = scalar(lab, "SELECT rev FROM patient")

    def broken(_: Tally) -> Verdict:
        raise ArithmeticError

    with pytest.raises(ArithmeticError), transaction(lab) as conn:
        runs.mark_missing(conn, 1, broken)
    assert scalar(lab, "SELECT rev FROM patient") == before
    assert scalar(lab, "SELECT state FROM slide") == "current"


def test_slides_that_finish_together_give_the_exact_verdict(lab: Engine) -> None:
    for round_no in range(5):
        patient = f"p{round_no}"
        claims = [_ready(lab, add_slide(lab, name, patient=patient), n) for n, name in enumerate("abcd")]
        gate = Barrier(len(claims))

        def end(claim: Claim, gate: Barrier = gate) -> None:
            gate.wait()
            runs.finish(lab, claim, decide)

        with ThreadPoolExecutor(len(claims)) as pool:
            list(pool.map(end, claims))
        with transaction(lab) as conn:
            found = standing(conn, patient)
        assert (found.done, found.open, found.cells) == (4, 0, 1 + 2 + 3 + 4)


def _ready(engine: Engine, run_id: int, n: int) -> Claim:
    """Return the claim of a run that has only to be finished, with n + 1 cells."""
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch(classes=["lymphocyte"] * (n + 1)))
    return claim


def test_a_slide_that_finishes_while_its_patient_gets_another_is_counted(lab: Engine) -> None:
    for round_no in range(5):
        claim = _ready(lab, add_slide(lab, "a", patient=f"p{round_no}"), 0)
        gate = Barrier(2)

        def finish(claim: Claim = claim, gate: Barrier = gate) -> None:
            gate.wait()
            runs.finish(lab, claim, decide)

        def grow(patient: str = f"p{round_no}", gate: Barrier = gate) -> None:
            gate.wait()
            add_slide(lab, "b", patient=patient)

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(finish), pool.submit(grow)]:
                future.result()
        with transaction(lab) as conn:
            found = standing(conn, f"p{round_no}")
        assert (found.finding, found.done, found.open, found.cells) == ("incomplete", 1, 1, 1)


def test_the_tally_keeps_specimens_and_abstained_cells_apart(lab: Engine) -> None:
    with transaction(lab) as conn:
        marrow = add(conn, stored("a"), specimen=Specimen.MARROW)
        blood = add(conn, stored("b"), specimen=Specimen.BLOOD)
    cells = (cell(0), cell(1, abstained=True), cell(2, "smudge", abstained=True), cell(3, "smudge"))
    claim = taken(lab, marrow)
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, Batch(no=0, cells=cells))
    runs.finish(lab, claim, decide)
    read(lab, blood, ["lymphoblast", "lymphoblast"])
    with transaction(lab) as conn:
        found = patients.tally(conn, 1, 1)
    blood_slide, marrow_slide = (one.slides[0] for one in found.specimens)
    assert found == Tally(
        model_version="m1",
        rule="test-rule",
        specimens=(
            SpecimenTally(
                specimen=Specimen.BLOOD,
                counts={"lymphoblast": 2},
                abstained=0,
                slides_done=1,
                slides=(replace(blood_slide, counts={"lymphoblast": 2}, abstained=0),),
            ),
            SpecimenTally(
                specimen=Specimen.MARROW,
                counts={"lymphocyte": 1, "smudge": 1},
                abstained=1,
                slides_done=1,
                slides=(replace(marrow_slide, counts={"lymphocyte": 1, "smudge": 1}, abstained=1),),
            ),
        ),
        slides_done=2,
        slides_open=0,
        slides_quarantined=0,
    )


def test_every_verdict_is_kept_and_the_standing_one_equals_a_fresh_one(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    read(lab, add_slide(lab, "b"), ["lymphoblast"])
    assert scalar(lab, "SELECT array_agg(finding ORDER BY rev) FROM verdict_history") == [
        "incomplete",
        "no_evidence",
        "incomplete",
        "consistent_with_ALL",
    ]
    stored_digest = scalar(lab, "SELECT inputs_digest FROM verdict")
    with transaction(lab) as conn:
        assert patients.digest(patients.tally(conn, 1, 1)) == stored_digest


def test_another_rule_judges_all_patients_of_the_lab_anew(lab: Engine) -> None:
    add_slide(lab, patient="p1")
    add_slide(lab, patient="p2")
    add_slide(lab, lab="elsewhere", patient="p3")
    with transaction(lab) as conn:
        labs.change_rule(conn, "lab", "newer-rule", decide)
    assert scalar(lab, "SELECT array_agg(rule ORDER BY patient) FROM report.patients") == [
        "newer-rule",
        "newer-rule",
        "test-rule",
    ]
    with pytest.raises(NotFoundError), transaction(lab) as conn:
        labs.change_rule(conn, "no lab", "x", decide)


def test_a_patient_who_is_being_registered_meanwhile_is_judged_by_the_other_rule_too(lab: Engine) -> None:
    add_slide(lab, patient="p1")

    def change() -> None:
        with transaction(lab) as conn:
            labs.change_rule(conn, "lab", "newer-rule", decide)

    with ThreadPoolExecutor(1) as pool:
        with transaction(lab) as conn:
            add(conn, stored("lab/p2/a.tif"), patient="p2")
            changing = pool.submit(change)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
            while not changing.done() and conn.exec_driver_sql(waiting).scalar_one() == 0:
                sleep(0.01)
        changing.result()
    assert scalar(lab, "SELECT array_agg(rule ORDER BY patient) FROM report.patients") == ["newer-rule", "newer-rule"]


def test_a_new_model_shows_only_when_it_has_read_the_whole_patient(lab: Engine) -> None:
    for name in "ab":
        read(lab, add_slide(lab, name))
    use_model(lab, MODEL_2)
    with transaction(lab) as conn:
        first, second = runs.due(conn, 10)
    shown = "SELECT model_version || ' ' || finding FROM report.patients"
    assert scalar(lab, shown) == "m1 no_evidence"
    read(lab, first, ["lymphoblast"])
    assert scalar(lab, shown) == "m1 no_evidence"
    read(lab, second)
    assert scalar(lab, shown) == "m2 consistent_with_ALL"


def test_a_new_slide_ends_the_older_models_verdict(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    use_model(lab, MODEL_2)
    with transaction(lab) as conn:
        add(conn, stored("lab/patient/b.tif"))
        found = standing(conn)
    assert (found.finding, found.open) == ("incomplete", 2)


def test_a_slide_registered_while_a_model_is_activated_gets_its_run(lab: Engine) -> None:
    with transaction(lab) as conn:
        models.register_model(conn, MODEL_2)
    gate = Barrier(2)

    def switch() -> None:
        gate.wait()
        use_model(lab, MODEL_2)

    def arrive() -> None:
        gate.wait()
        for number in range(10):
            add_slide(lab, str(number))

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(switch), pool.submit(arrive)]:
            future.result()
    assert scalar(lab, "SELECT count(*) FROM run WHERE model_version_id = 2") == 10


def test_a_models_name_stands_for_one_set_of_weights(lab: Engine) -> None:
    with transaction(lab) as conn:
        assert models.register_model(conn, MODEL) == 1
        assert models.active_model(conn) == (1, MODEL)
        with pytest.raises(NotAllowedError, match="new name"):
            models.register_model(conn, replace(MODEL, weights_sha256="d" * 64))
        with pytest.raises(NotFoundError):
            models.activate(conn, "unknown", decide)


def test_before_the_first_activation_no_model_is_active(engine: Engine) -> None:
    with transaction(engine) as conn:
        assert models.active_model(conn) is None
