"""Who may read a run: exactly one worker at a time, and never for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from db import runs
from db.errors import FencedError, NotFoundError
from db.records import Claim, Preparation, RunState, Specimen
from db.session import transaction
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
    stored,
    taken,
)

LEASE_OVER = "UPDATE run SET lease_until = now() - interval '1 s'"


def _state(engine: Engine) -> str:
    return str(scalar(engine, "SELECT state FROM run"))


def test_a_claim_carries_all_that_the_worker_needs(lab: Engine) -> None:
    obj = stored()
    with transaction(lab) as conn:
        run_id = add(conn, obj, stain="mgg", preparation=Preparation.SMEAR, mpp_um=0.5, specimen=Specimen.BLOOD)
    claim = taken(lab, run_id, lease_s=60)
    assert claim == Claim(
        run_id=run_id,
        fence=1,
        attempt=1,
        slide_id=1,
        patient_id=1,
        obj=obj,
        files=(),
        sha256=None,
        specimen=Specimen.BLOOD,
        stain="mgg",
        preparation=Preparation.SMEAR,
        declared_mpp_um=0.5,
        site_mpp_um=DEFAULTS.site_mpp_um,
        rule=DEFAULTS.rule,
        model=MODEL,
        lease_s=60,
    )


def test_of_many_workers_at_once_one_gets_the_run(lab: Engine) -> None:
    run_ids = [add_slide(lab, str(number)) for number in range(5)]

    def claim_all(worker: int) -> list[int]:
        got = (runs.claim(lab, run_id, worker_id=f"w{worker}", lease_s=60) for run_id in run_ids)
        return [claim.run_id for claim in got if claim is not None]

    with ThreadPoolExecutor(8) as pool:
        taken_by = list(pool.map(claim_all, range(8)))
    assert sorted(run_id for got in taken_by for run_id in got) == run_ids


def test_an_unknown_finished_or_cancelled_run_is_not_claimed(lab: Engine) -> None:
    done, cancelled = add_slide(lab, "a"), add_slide(lab, "b")
    read(lab, done)
    with transaction(lab) as conn:
        runs.cancel(conn, cancelled, decide, "not wanted")
    for run_id in (done, cancelled, 999):
        assert runs.claim(lab, run_id, worker_id="w", lease_s=60) is None


def test_a_silent_workers_run_is_taken_over_and_its_writes_are_refused(lab: Engine) -> None:
    run_id = add_slide(lab)
    first = taken(lab, run_id, worker_id="w1", lease_s=60)
    runs.store_plan(lab, first, plan())
    assert runs.claim(lab, run_id, worker_id="w2", lease_s=60) is None
    execute(lab, LEASE_OVER)
    second = taken(lab, run_id, worker_id="w2")
    assert (second.fence, second.attempt) == (first.fence + 1, first.attempt + 1)
    assert not runs.heartbeat(lab, first)
    with pytest.raises(FencedError):
        runs.store_plan(lab, first, plan())
    with pytest.raises(FencedError):
        runs.write_batch(lab, first, batch())
    for end in ENDS.values():
        with pytest.raises(FencedError):
            end(lab, first)
    runs.write_batch(lab, second, batch())
    runs.finish(lab, second, decide)
    assert _state(lab) == RunState.DONE


def test_a_heartbeat_keeps_the_lease(lab: Engine) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id, lease_s=60)
    execute(lab, LEASE_OVER)
    assert runs.heartbeat(lab, claim)
    assert runs.claim(lab, run_id, worker_id="w2", lease_s=60) is None


def test_writing_a_batch_keeps_the_lease_too(lab: Engine) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan())
    execute(lab, LEASE_OVER)
    runs.write_batch(lab, claim, batch())
    assert runs.claim(lab, run_id, worker_id="w2", lease_s=60) is None


def test_a_run_given_back_is_not_due_before_its_time(lab: Engine) -> None:
    run_id = add_slide(lab)
    claim = taken(lab, run_id)
    state = runs.retry_later(lab, claim, code="x", cause="x", delay_s=60, counts=True, decide=decide)
    assert state == RunState.RETRY_WAIT
    assert runs.claim(lab, run_id, worker_id="w", lease_s=60) is None
    with transaction(lab) as conn:
        runs.requeue(conn, run_id, decide)
    assert taken(lab, run_id).attempt == 2


@pytest.mark.parametrize("give_back", ["release", "retry_later"])
def test_giving_back_without_fault_uses_up_no_attempt(lab: Engine, give_back: str) -> None:
    run_id = add_slide(lab)
    for _ in range(2 * DEFAULTS.max_attempts):
        claim = taken(lab, run_id)
        if give_back == "release":
            runs.release(lab, claim)
        else:
            runs.retry_later(lab, claim, code="x", cause="x", delay_s=0, counts=False, decide=decide)
    assert taken(lab, run_id).attempt == 2 * DEFAULTS.max_attempts + 1


def test_the_last_attempt_ends_in_quarantine(lab: Engine) -> None:
    run_id = add_slide(lab)
    states = [
        runs.retry_later(lab, taken(lab, run_id), code="net", cause="x", delay_s=0, counts=True, decide=decide)
        for _ in range(DEFAULTS.max_attempts)
    ]
    assert states == [RunState.RETRY_WAIT, RunState.RETRY_WAIT, RunState.QUARANTINED]
    assert runs.claim(lab, run_id, worker_id="w", lease_s=60) is None


def test_requeue_gives_all_attempts_again_and_never_turns_attempt_back(lab: Engine) -> None:
    run_id = add_slide(lab)
    runs.fail(lab, taken(lab, run_id), code="x", cause="x", remedy="x", decide=decide)
    with transaction(lab) as conn:
        runs.requeue(conn, run_id, decide)
    attempts = []
    for _ in range(DEFAULTS.max_attempts):
        claim = taken(lab, run_id)
        attempts.append(claim.attempt)
        runs.retry_later(lab, claim, code="x", cause="x", delay_s=0, counts=True, decide=decide)
    assert attempts == [2, 3, 4]
    assert _state(lab) == RunState.QUARANTINED


def test_requeue_of_an_unknown_run_says_so(lab: Engine) -> None:
    with pytest.raises(NotFoundError), transaction(lab) as conn:
        runs.requeue(conn, 999, decide)


ENDS: dict[str, Callable[[Engine, Claim], object]] = {
    "finish": lambda engine, claim: runs.finish(engine, claim, decide),
    "fail": lambda engine, claim: runs.fail(engine, claim, code="x", cause="x", remedy="x", decide=decide),
    "retry_later": lambda engine, claim: runs.retry_later(
        engine, claim, code="x", cause="x", delay_s=0, counts=False, decide=decide
    ),
    "release": runs.release,
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_whose_answer_was_lost_can_be_repeated(lab: Engine, end: str) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan(n_batches=0))
    ENDS[end](lab, claim)
    ENDS[end](lab, claim)
    assert scalar(lab, "SELECT count(*) FROM transition") == 3
    assert scalar(lab, "SELECT releases FROM run") == (end in ("retry_later", "release"))


@pytest.mark.parametrize("end", ENDS)
def test_an_end_after_another_end_is_refused(lab: Engine, end: str) -> None:
    claim = taken(lab, add_slide(lab))
    with transaction(lab) as conn:
        runs.cancel(conn, claim.run_id, decide, "not wanted")
    with pytest.raises(FencedError):
        ENDS[end](lab, claim)
    assert _state(lab) == "cancelled"
