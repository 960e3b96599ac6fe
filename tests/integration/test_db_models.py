"""Model versions beside each other: what is registered, and an archive read by one that no report shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import Engine

from db import cell_reports, migrate, models, patients, reports, runs
from db.comparison import difference
from db.errors import NotAllowedError, NotFoundError
from db.models import Reach
from db.records import Confusion, ModelVersion
from db.session import make_engine, transaction
from tests.support.rows import CLASSES, MODEL, add, add_slide, decide, read, scalar, standing, stored, taken, use_model

CONFUSION = Confusion(classes=("lymphoblast", "other"), counts=((9, 1, 2), (3, 40, 1)))
OTHER = replace(MODEL, name="m2", weights_sha256="c" * 64, confusion=CONFUSION)
CARD = {"created": "2026-11-23", "figures": {"accuracy": 0.9}, "limits": "few", "terms": "CC BY"}


def register(engine: Engine, model: ModelVersion = OTHER, *, reading: bool = False) -> int:
    """Register a model version, and have it read the archive; return the number of slides that it will read."""
    with transaction(engine) as conn:
        models.register_model(conn, model, CARD)
        return models.read_archive(conn, model.name) if reading else 0


def due(engine: Engine) -> list[int]:
    with transaction(engine) as conn:
        return runs.due(conn, 100)


def reach(engine: Engine, name: str = "m2") -> Reach:
    with transaction(engine) as conn:
        return models.reach(conn, name)


def reported(engine: Engine) -> tuple[object, ...]:
    """Return all that the reports say, times included."""
    with transaction(engine) as conn:
        return (reports.patients(conn), reports.slides(conn), cell_reports.differential(conn), cell_reports.cells(conn))


def test_a_model_version_comes_back_with_its_confusion_and_card(lab: Engine) -> None:
    register(lab)
    with transaction(lab) as conn:
        first, second = models.registered(conn)
    assert (first.version, first.card, first.active) == (MODEL, None, True)
    assert (second.version, second.card, second.active) == (OTHER, CARD, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_sha256": "d" * 64}, "weights"),
        ({"classes": CLASSES[:2]}, "classes"),
        ({"preprocess": {"mpp_um": 0.5}}, "mpp_um"),
        ({"confusion": None}, "confusion"),
        ({"confusion": replace(CONFUSION, counts=((9, 1, 2), (3, 41, 1)))}, "confusion"),
    ],
)
def test_a_name_stands_for_one_content(lab: Engine, change: dict[str, object], said: str) -> None:
    register(lab)
    with pytest.raises(NotAllowedError, match=rf"\({said}\): give the new weights a new name"):
        register(lab, replace(OTHER, **change))  # type: ignore[arg-type]


def test_a_card_is_filled_in_once_and_replaced_only_on_purpose(lab: Engine) -> None:
    with transaction(lab) as conn:
        for card, restate in ((CARD, False), ({**CARD, "limits": "none"}, False), (None, True)):
            models.register_model(conn, MODEL, card, restate=restate)
            assert models.registered(conn)[0].card == CARD
        models.register_model(conn, MODEL, {**CARD, "limits": "many"}, restate=True)
        assert models.registered(conn)[0].card == {**CARD, "limits": "many"}


def test_claims_and_tallies_carry_the_confusion_of_their_own_model_version(lab: Engine) -> None:
    first = add_slide(lab)
    register(lab, reading=True)
    (second,) = set(due(lab)) - {first}
    assert taken(lab, first).model == MODEL
    assert taken(lab, second).model == OTHER
    with transaction(lab) as conn:
        assert [patients.tally(conn, 1, model).confusion for model in (1, 2)] == [None, CONFUSION]


def test_reading_the_archive_beside_the_active_model_changes_no_report(lab: Engine) -> None:
    for name in "ab":
        read(lab, add_slide(lab, name))
    before, kept = reported(lab), scalar(lab, "SELECT count(*) FROM verdict_history")
    assert register(lab, reading=True) == 2
    for run_id in due(lab):
        read(lab, run_id, ["lymphoblast"])
    assert reported(lab) == before
    assert scalar(lab, "SELECT count(*) FROM verdict_history") == kept
    assert reach(lab) == Reach(slides=2, read=2, unreadable=0, queued=0, unasked=0)
    with transaction(lab) as conn:
        assert [(run.model_version, run.shown) for run in reports.runs(conn)] == [("m1", True)] * 2 + [
            ("m2", False)
        ] * 2
        assert [cell.model_version for cell in cell_reports.cells(conn, run_id=3)] == ["m2"]
        models.activate(conn, "m2", decide)
        assert standing(conn).finding == "consistent_with_ALL"


def test_what_a_compared_model_cannot_read_changes_no_report(lab: Engine) -> None:
    read(lab, add_slide(lab))
    register(lab, reading=True)
    before = reported(lab)
    (run_id,) = due(lab)
    runs.fail(lab, taken(lab, run_id), code="x", cause="x", remedy="x", decide=decide)
    assert reported(lab) == before
    assert reach(lab) == Reach(slides=1, read=0, unreadable=1, queued=0, unasked=0)


def test_reading_the_archive_again_asks_only_for_new_slides(lab: Engine) -> None:
    add_slide(lab, "a")
    assert register(lab, reading=True) == 1
    add_slide(lab, "b")
    assert reach(lab) == Reach(slides=2, read=0, unreadable=0, queued=1, unasked=1)
    assert register(lab, reading=True) == 1
    assert register(lab, reading=True) == 0
    assert reach(lab).to_read == 2


def test_the_active_models_slides_go_first(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    register(lab, reading=True)
    new = [add_slide(lab, "b"), add_slide(lab, "c", lab="other", patient="p")]
    assert due(lab) == [*new, 2]
    use_model(lab, OTHER)
    assert due(lab)[0] == 2


def test_a_run_that_ends_while_its_model_is_activated_is_in_the_report(lab: Engine) -> None:
    for round_no in range(5):
        patient = f"p{round_no}"
        use_model(lab, MODEL)
        read(lab, add_slide(lab, patient=patient))
        register(lab, reading=True)
        (run_id,) = due(lab)
        gate = Barrier(2)

        def finish(run_id: int = run_id, gate: Barrier = gate) -> None:
            gate.wait()
            read(lab, run_id, ["lymphoblast"])

        def activate(gate: Barrier = gate) -> None:
            gate.wait()
            use_model(lab, OTHER)

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(finish), pool.submit(activate)]:
                future.result()
        with transaction(lab) as conn:
            assert standing(conn, patient).finding == "consistent_with_ALL"


def test_the_difference_names_the_patients_whose_finding_flips(lab: Engine) -> None:
    for patient in ("same", "flips", "waits"):
        read(lab, add_slide(lab, patient=patient))
    register(lab, reading=True)
    same, flips, _ = due(lab)
    read(lab, same)
    read(lab, flips, ["lymphoblast", "lymphocyte"])
    found = difference(lab, "m1", "m2", decide)
    assert (found.compared, found.waiting) == (2, 1)
    assert found.reach_after == Reach(slides=3, read=2, unreadable=0, queued=1, unasked=0)
    (flip,) = found.flips
    assert (flip.lab, flip.patient) == ("lab", "flips")
    assert (flip.before.finding, flip.before.reason, flip.before.cells) == ("no_evidence", "0 of 1", 1)
    assert (flip.after.finding, flip.after.reason, flip.after.cells) == ("consistent_with_ALL", "1 of 2", 2)


def test_a_slide_that_only_the_other_model_cannot_read_is_a_flip(lab: Engine) -> None:
    read(lab, add_slide(lab))
    register(lab, reading=True)
    (run_id,) = due(lab)
    runs.fail(lab, taken(lab, run_id), code="x", cause="x", remedy="x", decide=decide)
    (flip,) = difference(lab, "m1", "m2", decide).flips
    assert (flip.after.finding, flip.after.slides_quarantined) == ("incomplete", 1)


def test_a_slide_that_is_missing_under_both_keeps_no_patient_waiting(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    with transaction(lab) as conn:
        add(conn, stored("lab/patient/b.tif"))
        runs.mark_missing(conn, 2, decide)
    register(lab, reading=True)
    (run_id,) = due(lab)
    read(lab, run_id)
    found = difference(lab, "m1", "m2", decide)
    assert (found.compared, found.waiting, found.flips) == (1, 0, ())


def test_names_that_nobody_registered_are_refused(lab: Engine) -> None:
    with pytest.raises(NotFoundError, match="m9"):
        difference(lab, "m1", "m9", decide)
    with transaction(lab) as conn, pytest.raises(NotFoundError, match="m9"):
        models.read_archive(conn, "m9")


def test_the_report_tells_what_a_card_says_and_what_was_read(lab: Engine) -> None:
    read(lab, add_slide(lab))
    register(lab, reading=True)
    with transaction(lab) as conn:
        first, second = reports.model_versions(conn)
    assert (first.model_version, first.active, first.created, first.terms) == ("m1", True, None, None)
    assert (first.slides_read, first.slides_queued, first.patients_shown) == (1, 0, 1)
    assert (second.active, str(second.created), second.terms, second.figures) == (
        False, "2026-11-23", "CC BY", {"accuracy": 0.9},
    )  # fmt: skip
    assert (second.slides_read, second.slides_queued, second.patients_shown) == (0, 1, 0)


def test_a_downgrade_loses_no_card(own_database_url: str) -> None:
    own_database = make_engine(own_database_url)
    register(own_database)
    with pytest.raises(RuntimeError, match="holds values"):
        migrate.downgrade(own_database, "0002")
    assert migrate.check(own_database) == []
    own_database.dispose()
