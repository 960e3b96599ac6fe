"""The worker's hold on a run: claim it, keep it, end it. Each function is one transaction of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, null, select, text, update

from db import batches, corrections, patients, steps, sweeping
from db.counts import Decide, Stop
from db.faultpoints import faultpoint
from db.model_rows import COLUMNS, version_of
from db.records import Claim, Preparation, RunState, Specimen, StoredObject
from db.run_tables import run
from db.session import transact
from db.steps import files_of, in_seconds, stored_object
from db.tables import lab, model_version, patient, slide

_CLAIM = text(
    """
    UPDATE run SET state = 'running', fence = run.fence + 1, attempt = run.attempt + 1,
           lease_owner = :worker_id, lease_until = now() + make_interval(secs => :lease_s), progress_at = now(),
           changed_by = :worker_id, change_reason = CASE run.state WHEN 'running' THEN 'lease ran out' ELSE 'claim' END
      FROM slide
     WHERE run.id = :run_id AND slide.id = run.slide_id AND slide.state = 'current'
       AND run.attempt - run.releases < run.max_attempts
       AND (run.state IN ('pending', 'retry_wait') AND run.next_at <= now()
            OR run.state = 'running' AND run.lease_until < now())
    RETURNING run.fence, run.attempt
    """
)


def claim(engine: Engine, run_id: int, *, worker_id: str, lease_s: float) -> Claim | None:
    """Take the right to read a run's slide, or return None: done already, held, not due, or out of attempts.

    Counts an attempt before the file is touched. Raises UnavailableError.
    """
    parameters = {"run_id": run_id, "worker_id": worker_id, "lease_s": lease_s}

    def work(conn: Connection) -> Claim | None:
        taken = conn.execute(_CLAIM, parameters).one_or_none()
        if taken is None:
            return None
        facts = _facts(conn, run_id)
        return _claim(facts, run_id, taken=taken, files=files_of(conn, facts), lease_s=lease_s)

    return transact(engine, work, patience_s=lease_s / 2)


def likely_next(engine: Engine) -> tuple[StoredObject, tuple[StoredObject, ...]] | None:
    """Return the object, and the files of a set, of the run that has been due longest; nothing is claimed.

    Raises UnavailableError.
    """

    def work(conn: Connection) -> tuple[StoredObject, tuple[StoredObject, ...]] | None:
        for run_id in sweeping.due(conn, limit=1):
            facts = _facts(conn, run_id)
            return stored_object(facts), files_of(conn, facts)
        return None

    return transact(engine, work, patience_s=1.0)


def heartbeat(engine: Engine, claim: Claim) -> bool:
    """Prolong the lease; False: the run is no longer this claim's, stop reading. Raises UnavailableError."""
    prolonged = (
        update(run)
        .where(run.c.id == claim.run_id, run.c.fence == claim.fence, run.c.state == RunState.RUNNING)
        .values(lease_until=func.now() + in_seconds(claim.lease_s))
    )
    return transact(engine, lambda conn: conn.execute(prolonged).rowcount == 1, patience_s=claim.lease_s / 4)


def finish(engine: Engine, claim: Claim, decide: Decide, stop: Stop | None = None) -> None:
    """Mark the run done, count its cells, apply what was said of them, recompute the patient's verdict, all at once.

    stop: where and why a reading that takes looks ended; None for one that does not, and is carried out whole.
    Raises FencedError, NotAllowedError when batches of the plan up to there are not written, UnavailableError.
    """

    def work(conn: Connection) -> None:
        row = steps.held(conn, claim, ended=(RunState.DONE,))
        if row.state == RunState.DONE:
            return
        batches.close(conn, claim.run_id, row.n_batches, stop)
        end = {"finished_at": func.now(), "n_cells": batches.count_cells(conn, claim.run_id)} | steps.NO_ERROR
        reason = "all batches written" if stop is None or stop.look is None else stop.reason
        steps.step(conn, claim.run_id, RunState.DONE, actor=_actor(row), reason=reason, **end, **_stopped(stop))
        # What is said of the slide meanwhile is either seen by the statement after this one, or sees the run done.
        patients.lock(conn, [steps.patient_of(conn, row.id)])
        corrections.carry(conn, claim.run_id)
        _judge_again(conn, row, decide)
        faultpoint("run.judged")

    transact(engine, work, patience_s=claim.lease_s)


def fail(engine: Engine, claim: Claim, *, code: str, cause: str, remedy: str, decide: Decide) -> None:
    """Quarantine the run because its file is at fault, and recompute the verdict.

    Raises FencedError, UnavailableError.
    """

    def work(conn: Connection) -> None:
        row = steps.held(conn, claim, ended=(RunState.QUARANTINED,))
        if row.state == RunState.RUNNING:
            steps.quarantine(conn, row.id, actor=_actor(row), code=code, cause=cause, remedy=remedy)
            _judge_again(conn, row, decide)

    transact(engine, work, patience_s=claim.lease_s)


def retry_later(
    engine: Engine, claim: Claim, *, code: str, cause: str, delay_s: float, counts: bool, decide: Decide
) -> RunState:
    """Give the run back for another try after `delay_s`; return its new state.

    counts: whether this try uses up an attempt; when it was the last one the run is quarantined.
    Raises FencedError, UnavailableError.
    """

    def work(conn: Connection) -> RunState:
        row = steps.held(conn, claim, ended=(RunState.RETRY_WAIT, RunState.QUARANTINED))
        if row.state != RunState.RUNNING:
            return RunState(row.state)
        if counts and row.attempt - row.releases >= row.max_attempts:
            remedy = f"{row.max_attempts} attempts failed; mend the cause, then retry the slide"
            steps.quarantine(conn, row.id, actor=_actor(row), code=code, cause=cause, remedy=remedy)
            _judge_again(conn, row, decide)
            return RunState.QUARANTINED
        _wait(conn, row, f"{code}: {cause}", delay_s=delay_s, counts=counts, error_code=code, error_cause=cause)
        return RunState.RETRY_WAIT

    return transact(engine, work, patience_s=claim.lease_s)


def release(engine: Engine, claim: Claim) -> None:
    """Give the run back at once because the worker stops; no attempt is used up.

    Raises FencedError, UnavailableError.
    """

    def work(conn: Connection) -> None:
        row = steps.held(conn, claim, ended=(RunState.RETRY_WAIT,))
        if row.state == RunState.RUNNING:
            _wait(conn, row, "the worker stopped", delay_s=0, counts=False)

    transact(engine, work, patience_s=claim.lease_s)


def _wait(conn: Connection, row: Row[Any], reason: str, *, delay_s: float, counts: bool, **error: str) -> None:
    values: dict[str, Any] = {
        "next_at": func.now() + in_seconds(delay_s),
        "releases": run.c.releases + (0 if counts else 1),
    }
    steps.step(conn, row.id, RunState.RETRY_WAIT, actor=_actor(row), reason=reason, **values, **error)


def _judge_again(conn: Connection, row: Row[Any], decide: Decide) -> None:
    patients.recompute_after_run(conn, steps.patient_of(conn, row.id), row.model_version_id, decide)


def _stopped(stop: Stop | None) -> dict[str, Any]:
    why = null() if stop is None else {key: value for key, value in asdict(stop).items() if key != "n_read"}
    return {"n_read": stop and stop.n_read, "stop": why}


def _actor(row: Row[Any]) -> str:
    return str(row.lease_owner)


def _facts(conn: Connection, run_id: int) -> Row[Any]:
    columns: tuple[Any, ...] = (slide, lab.c.site_mpp_um, lab.c.rule, *COLUMNS)
    joined = run.join(slide).join(patient).join(lab).join(model_version, run.c.model_version_id == model_version.c.id)
    return conn.execute(select(*columns).select_from(joined).where(run.c.id == run_id)).one()


def _claim(facts: Row[Any], run_id: int, *, taken: Row[Any], files: tuple[StoredObject, ...], lease_s: float) -> Claim:
    return Claim(
        run_id=run_id,
        fence=taken.fence,
        attempt=taken.attempt,
        slide_id=facts.id,
        patient_id=facts.patient_id,
        obj=stored_object(facts),
        files=files,
        sha256=facts.sha256,
        specimen=Specimen(facts.specimen),
        stain=facts.stain,
        preparation=Preparation(facts.preparation) if facts.preparation else None,
        declared_mpp_um=facts.declared_mpp_um,
        site_mpp_um=facts.site_mpp_um,
        rule=facts.rule,
        model=version_of(facts),
        lease_s=lease_s,
    )
