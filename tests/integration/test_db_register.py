"""Slides as the scheduler learns of them: once each, whatever happens to their objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from db import facts, labs, models, runs, withdrawal
from db.errors import FencedError, NotAllowedError, NotFoundError
from db.records import SlideFacts, StoredObject
from db.session import retrying, transaction
from tests.support.rows import (
    DEFAULTS,
    MODEL,
    add,
    add_slide,
    batch,
    decide,
    execute,
    plan,
    read,
    scalar,
    standing,
    stored,
    taken,
)

FACTS = SlideFacts(lab="lab", patient="patient")


def _register(engine: Engine, obj: StoredObject, facts: SlideFacts = FACTS) -> int | None:
    with transaction(engine) as conn:
        return runs.register(conn, obj, facts, DEFAULTS, decide)


def _states(engine: Engine) -> list[tuple[str, str, str]]:
    """Return etag, slide state and run state by slide."""
    with transaction(engine) as conn:
        rows = conn.exec_driver_sql(
            "SELECT etag, slide.state, run.state FROM slide JOIN run ON run.slide_id = slide.id ORDER BY slide.id"
        )
        return [(row[0], row[1], row[2]) for row in rows]


def test_a_known_object_is_registered_once(lab: Engine) -> None:
    assert _register(lab, stored()) == 1
    assert _register(lab, stored()) is None
    assert scalar(lab, "SELECT count(*) FROM slide") == 1


def test_of_many_schedulers_at_once_one_registers(lab: Engine) -> None:
    objects = [stored(f"lab/p/{number}.tif") for number in range(4)]

    def register_all(_: int) -> list[int]:
        found = (retrying(lambda obj=obj: _register(lab, obj)) for obj in objects)  # type: ignore[misc]
        return [run_id for run_id in found if run_id is not None]

    with ThreadPoolExecutor(6) as pool:
        got = [run_id for found in pool.map(register_all, range(6)) for run_id in found]
    assert len(got) == len(set(got)) == len(objects)
    assert scalar(lab, "SELECT slides_open FROM verdict") == len(objects)


def test_different_versions_of_a_key_at_once_leave_one_current(lab: Engine) -> None:
    versions = [stored(etag=f"e{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda obj: retrying(lambda: _register(lab, obj)), versions))
    assert scalar(lab, "SELECT count(*) FROM slide WHERE state = 'current'") == 1
    assert scalar(lab, "SELECT count(*) FROM run WHERE state = 'pending'") == 1
    assert scalar(lab, "SELECT slides_open FROM verdict") == 1


def test_without_an_active_model_nothing_is_registered(engine: Engine) -> None:
    with pytest.raises(NotAllowedError, match="active"):
        _register(engine, stored())
    assert scalar(engine, "SELECT count(*) FROM lab") == 0


def test_a_lab_keeps_its_own_defaults_and_a_slide_may_differ(lab: Engine) -> None:
    _register(lab, stored("a"))
    execute(lab, "UPDATE lab SET default_specimen = 'blood'")
    _register(lab, stored("b"))
    assert scalar(lab, "SELECT string_agg(specimen, ',' ORDER BY id) FROM slide") == "marrow,blood"


def test_a_changed_site_scale_holds_for_the_next_claim(lab: Engine) -> None:
    run_id = add_slide(lab)
    with transaction(lab) as conn:
        labs.set_site_mpp(conn, 0.11)
    assert taken(lab, run_id).site_mpp_um == 0.11


def test_an_overwritten_object_supersedes_and_fences_the_reader(lab: Engine) -> None:
    _register(lab, stored())
    claim = taken(lab, 1)
    runs.store_plan(lab, claim, plan())
    assert _register(lab, stored(etag="e2", day=1)) == 2
    with pytest.raises(FencedError):
        runs.write_batch(lab, claim, batch())
    assert _states(lab) == [("e1", "superseded", "cancelled"), ("e2", "current", "pending")]


def test_a_finished_slide_that_is_overwritten_leaves_the_tally(lab: Engine) -> None:
    _register(lab, stored())
    read(lab, 1, ["lymphoblast"])
    with transaction(lab) as conn:
        assert standing(conn).finding == "consistent_with_ALL"
        runs.register(conn, stored(etag="e2", day=1), FACTS, DEFAULTS, decide)
        now = standing(conn)
    assert (now.finding, now.cells, now.done, now.open) == ("incomplete", 0, 0, 1)


def test_an_overwrite_that_names_another_patient_changes_both(lab: Engine) -> None:
    _register(lab, stored())
    read(lab, 1)
    _register(lab, stored(etag="e2", day=1), SlideFacts(lab="lab", patient="other"))
    with transaction(lab) as conn:
        assert standing(conn).finding == "insufficient"
        assert standing(conn, "other").open == 1


def test_the_first_bytes_uploaded_again_are_read_again(lab: Engine) -> None:
    _register(lab, stored())
    read(lab, 1)
    _register(lab, stored(etag="e2", day=1))
    assert _register(lab, stored(day=2)) == 1
    assert _states(lab) == [("e1", "current", "pending"), ("e2", "superseded", "cancelled")]


def test_only_a_newer_upload_releases_a_quarantined_run(lab: Engine) -> None:
    _register(lab, stored())
    runs.fail(lab, taken(lab, 1), code="x", cause="x", remedy="x", decide=decide)
    assert _register(lab, stored()) is None
    assert _states(lab) == [("e1", "current", "quarantined")]
    assert _register(lab, stored(day=1)) == 1
    assert _states(lab) == [("e1", "current", "pending")]
    assert taken(lab, 1).obj.last_modified == stored(day=1).last_modified


@pytest.mark.parametrize("again", ["found", "registered"])
def test_a_missing_slide_comes_back(lab: Engine, again: str) -> None:
    _register(lab, stored())
    with transaction(lab) as conn:
        runs.mark_missing(conn, 1, decide)
        runs.mark_missing(conn, 1, decide)
    assert _states(lab) == [("e1", "missing", "cancelled")]
    if again == "found":
        with transaction(lab) as conn:
            runs.mark_found(conn, 1, decide)
    else:
        assert _register(lab, stored()) == 1
    assert _states(lab) == [("e1", "current", "pending")]


def test_a_finished_slide_that_was_missing_is_done_again_at_once(lab: Engine) -> None:
    _register(lab, stored())
    read(lab, 1)
    with transaction(lab) as conn:
        runs.mark_missing(conn, 1, decide)
        assert standing(conn).finding == "incomplete"
        runs.mark_found(conn, 1, decide)
        assert standing(conn).finding == "no_evidence"
    assert _states(lab) == [("e1", "current", "done")]


def test_a_missing_slide_is_superseded_by_what_comes_in_its_place(lab: Engine) -> None:
    _register(lab, stored())
    with transaction(lab) as conn:
        runs.mark_missing(conn, 1, decide)
    _register(lab, stored(etag="e2"))
    assert _states(lab) == [("e1", "superseded", "cancelled"), ("e2", "current", "pending")]
    with transaction(lab) as conn:
        runs.mark_found(conn, 1, decide)  # it is not missing any more: nothing to do
    assert scalar(lab, "SELECT slides_open FROM verdict") == 1


def test_marking_an_unknown_slide_says_so(lab: Engine) -> None:
    for mark in (runs.mark_missing, runs.mark_found):
        with pytest.raises(NotFoundError), transaction(lab) as conn:
            mark(conn, 999, decide)


def test_current_slides_are_those_below_the_prefix(lab: Engine) -> None:
    objects = [stored(key) for key in ("a_b/1", "a_b/2", "axb/3", "other/4")]
    for obj in objects:
        _register(lab, obj)
    _register(lab, stored("a_b/9", bucket="elsewhere"))
    with transaction(lab) as conn:
        runs.mark_missing(conn, 2, decide)
        found = list(runs.current_slides(conn, "bucket", "a_b/"))
        assert found == [(1, objects[0])]
        assert [slide_id for slide_id, _ in runs.current_slides(conn, "bucket")] == [1, 3, 4]


@pytest.mark.parametrize("key", ["../../etc/passwd", "a\nb", "%2e%2e/ü+ ß", "'; DROP TABLE slide; --", "k" * 1024])
def test_odd_keys_are_stored_as_they_are(lab: Engine, key: str) -> None:
    with transaction(lab) as conn:
        add(conn, stored(key))
        assert [obj.key for _, obj in runs.current_slides(conn, "bucket", key[:2])] == [key]


def test_a_person_may_withdraw_a_slide_and_take_that_back(lab: Engine) -> None:
    read(lab, add_slide(lab, "a"))
    broken = add_slide(lab, "b")
    runs.fail(lab, taken(lab, broken), code="x", cause="x", remedy="x", decide=decide)
    with transaction(lab) as conn:
        assert standing(conn).finding == "incomplete"
        runs.cancel(conn, broken, decide, "smudged in the lab")
        runs.cancel(conn, broken, decide, "smudged in the lab")
        assert standing(conn).finding == "no_evidence"
        runs.requeue(conn, broken, decide)
        assert standing(conn).open == 1


def test_a_withdrawn_slide_stays_so_when_its_object_goes_and_comes(lab: Engine) -> None:
    run_id = add_slide(lab, "a")
    with transaction(lab) as conn:
        runs.cancel(conn, run_id, decide, "wrong patient")
        runs.mark_missing(conn, 1, decide)
        assert standing(conn).open == 0
        runs.mark_found(conn, 1, decide)
        assert standing(conn).open == 0
    assert runs.claim(lab, run_id, worker_id="w", lease_s=60) is None


def test_a_withdrawn_slide_is_read_by_no_model_until_it_is_restored(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab, "a"))
    with transaction(lab) as conn:
        withdrawal.withdraw(conn, claim.slide_id, decide, "wrong patient")
        models.register_model(conn, replace(MODEL, name="m2", weights_sha256="b" * 64))
        models.activate(conn, "m2", decide)
        assert runs.due(conn, 10) == []
        assert (standing(conn).finding, standing(conn).open) == ("insufficient", 0)
    assert not runs.heartbeat(lab, claim)
    with transaction(lab) as conn:
        withdrawal.restore(conn, claim.slide_id, decide)
        assert sorted(runs.due(conn, 10)) == [1, 2]
        assert standing(conn).open == 1


def test_a_corrected_sidecar_makes_a_slide_urgent_without_reading_it_again(lab: Engine) -> None:
    _register(lab, stored())
    claim = taken(lab, 1)
    with transaction(lab) as conn:
        assert facts.restate(conn, stored(), replace(FACTS, urgent=True), DEFAULTS, decide) is None
        assert runs.urgent(conn, [1]) == {1}
    assert runs.heartbeat(lab, claim)


@pytest.mark.parametrize("problem", ["incomplete", "superseded"])
def test_what_is_not_read_cannot_be_withdrawn(lab: Engine, problem: str) -> None:
    _register(lab, stored())
    _register(lab, stored(etag="e2"))
    if problem == "incomplete":
        execute(
            lab,
            "INSERT INTO slide (patient_id, bucket, key, size_bytes, last_modified, state, specimen)"
            " VALUES (1, 'b', 'k', 1, now(), 'incomplete', 'marrow')",
        )
    with pytest.raises(NotAllowedError, match=problem), transaction(lab) as conn:
        withdrawal.withdraw(conn, 3 if problem == "incomplete" else 1, decide, "x")


@pytest.mark.parametrize("state", ["running", "done", "missing"])
def test_requeue_refuses_what_cannot_be_retried(lab: Engine, state: str) -> None:
    run_id = add_slide(lab)
    if state == "running":
        taken(lab, run_id)
    elif state == "done":
        read(lab, run_id)
    else:
        with transaction(lab) as conn:
            runs.mark_missing(conn, 1, decide)
    with pytest.raises(NotAllowedError, match=state), transaction(lab) as conn:
        runs.requeue(conn, run_id, decide)
