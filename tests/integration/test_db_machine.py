"""Hypothesis walks through the life of slides and runs beside a model of it in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from db import runs
from db.counts import Stop
from db.errors import FencedError, NotAllowedError
from db.records import Claim, SlideFacts
from db.session import transaction
from tests.support.invariants import violations
from tests.support.postgres import wipe
from tests.support.rows import DEFAULTS, batch, decide, execute, plan, stored, use_model

OPEN = ("pending", "running", "retry_wait")
STOP = Stop(n_read=1, rule="adaptive", look=3, cells=3, share=0.25, reason="below every threshold")
PATIENTS = {"a": "p1", "b": "p1", "c": "p2"}


@dataclass
class Run:
    """What the model knows of a run and its slide, which share their number here."""

    key: str
    etag: str
    slide: str = "current"
    state: str = "pending"
    why: str = ""  # it was cancelled
    fence: int = 0
    tries_left: int = DEFAULTS.max_attempts
    lease_over: bool = False
    planned: bool = False
    claims: list[Claim] = field(default_factory=list)

    @property
    def due(self) -> bool:
        waiting = self.state in ("pending", "retry_wait") or (self.state == "running" and self.lease_over)
        return self.slide == "current" and self.tries_left > 0 and waiting

    def cancel(self, why: str) -> None:
        self.state, self.why = "cancelled", why

    def again(self) -> None:
        self.state, self.why, self.tries_left = "pending", "", DEFAULTS.max_attempts


class Life(RuleBasedStateMachine):
    """Each rule does a step in the database and in the model; the two must agree."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        wipe(self.engine)
        use_model(self.engine)
        self.runs: dict[int, Run] = {}

    @rule(key=st.sampled_from("abc"), etag=st.sampled_from("12"))
    def register(self, key: str, etag: str) -> None:
        with transaction(self.engine) as conn:
            facts = SlideFacts(lab="lab", patient=PATIENTS[key])
            run_id = runs.register(conn, stored(key, etag=etag), facts, DEFAULTS, decide)
        same_key = {number: run for number, run in self.runs.items() if run.key == key}
        known = next((number for number, run in same_key.items() if run.etag == etag), None)
        if known is not None and self.runs[known].slide == "current":
            assert run_id is None
            return
        for number, run in same_key.items():
            if number != known and run.slide != "superseded":
                run.slide = "superseded"
                if run.state in (*OPEN, "done"):
                    run.cancel("gone")
        if known is None:
            assert run_id is not None
            self.runs[run_id] = Run(key=key, etag=etag)
        else:
            self._back(self.runs[known])

    def _back(self, run: Run) -> None:
        run.slide = "current"
        if run.why == "gone":
            run.again()

    def _pick(self, data: st.DataObject) -> tuple[int, Run]:
        number = data.draw(st.sampled_from(sorted(self.runs)))
        return number, self.runs[number]

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        number, run = self._pick(data)
        claim = runs.claim(self.engine, number, worker_id="w", lease_s=60)
        assert (claim is not None) == run.due
        if claim is not None:
            run.state, run.fence, run.lease_over = "running", run.fence + 1, False
            run.tries_left -= 1
            assert claim.fence == run.fence
            run.claims.append(claim)

    @precondition(lambda self: any(run.state == "running" for run in self.runs.values()))
    @rule(data=st.data())
    def lease_ends(self, data: st.DataObject) -> None:
        held = sorted(number for number, run in self.runs.items() if run.state == "running")
        number = data.draw(st.sampled_from(held))
        execute(self.engine, f"UPDATE run SET lease_until = now() - interval '1 s' WHERE id = {number}")
        self.runs[number].lease_over = True

    def _act(self, data: st.DataObject, act: Callable[[Claim], object], *, needs_plan: bool = False) -> Run | None:
        """Act with any claim ever made; return the run when that had to succeed, and did."""
        claims = [claim for run in self.runs.values() for claim in run.claims]
        claim = data.draw(st.sampled_from(claims))
        run = self.runs[claim.run_id]
        if run.state != "running" or run.fence != claim.fence:
            before = run.state
            try:
                act(claim)
            except FencedError:
                return None
            assert run.fence == claim.fence  # it was this claim's own end, said twice
            assert before in ("done", "quarantined", "retry_wait")
            return None
        if needs_plan and not run.planned:
            with pytest.raises(NotAllowedError):
                act(claim)
            return None
        act(claim)
        return run

    @precondition(lambda self: any(run.claims for run in self.runs.values()))
    @rule(data=st.data(), digest=st.sampled_from(["d1", "d2"]))
    def store_plan(self, data: st.DataObject, digest: str) -> None:
        run = self._act(data, lambda claim: runs.store_plan(self.engine, claim, plan(n_batches=2, digest=digest)))
        if run is not None:
            run.planned = True

    @precondition(lambda self: any(run.claims for run in self.runs.values()))
    @rule(
        data=st.data(),
        cells=st.integers(0, 3),
        kind=st.sampled_from(["lymphoblast", "lymphocyte", "smudge"]),
        stop=st.sampled_from([None, STOP]),
        ahead=st.booleans(),
    )
    def read_and_finish(self, data: st.DataObject, cells: int, kind: str, stop: Stop | None, ahead: bool) -> None:
        def act(claim: Claim) -> None:
            for no in range(2 if ahead or stop is None else 1):
                runs.write_batch(self.engine, claim, batch(no, [kind] * cells))
            runs.finish(self.engine, claim, decide, stop)

        run = self._act(data, act, needs_plan=True)
        if run is not None:
            run.state = "done"

    @precondition(lambda self: any(run.claims for run in self.runs.values()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        run = self._act(
            data, lambda claim: runs.fail(self.engine, claim, code="x", cause="x", remedy="x", decide=decide)
        )
        if run is not None:
            run.state = "quarantined"

    @precondition(lambda self: any(run.claims for run in self.runs.values()))
    @rule(data=st.data(), counts=st.booleans())
    def retry_later(self, data: st.DataObject, counts: bool) -> None:
        run = self._act(
            data,
            lambda claim: runs.retry_later(
                self.engine, claim, code="x", cause="x", delay_s=0, counts=counts, decide=decide
            ),
        )
        if run is not None:
            run.tries_left += 0 if counts else 1
            run.state = "retry_wait" if run.tries_left else "quarantined"

    @rule()
    def expire(self) -> None:
        with transaction(self.engine) as conn:
            expired = runs.expire(conn, decide)
        spent = [n for n, run in self.runs.items() if run.state == "running" and run.lease_over and not run.tries_left]
        assert expired == sorted(spent)
        for number in spent:
            self.runs[number].state = "quarantined"

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def object_goes(self, data: st.DataObject) -> None:
        number, run = self._pick(data)
        with transaction(self.engine) as conn:
            runs.mark_missing(conn, number, decide)
        if run.slide == "current":
            run.slide = "missing"
            if run.state in OPEN:
                run.cancel("gone")

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def object_returns(self, data: st.DataObject) -> None:
        number, run = self._pick(data)
        with transaction(self.engine) as conn:
            runs.mark_found(conn, number, decide)
        if run.slide == "missing":
            self._back(run)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        number, run = self._pick(data)
        try:
            with transaction(self.engine) as conn:
                runs.requeue(conn, number, decide)
        except NotAllowedError:
            assert run.slide != "current" or run.state in ("running", "done")
            return
        assert run.slide == "current"
        assert run.state not in ("running", "done")
        if run.state in ("quarantined", "cancelled"):
            run.again()

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number, run = self._pick(data)
        with transaction(self.engine) as conn:
            runs.cancel(conn, number, decide, "not wanted")
        run.cancel("withdrawn")

    @invariant()
    def database_and_model_agree(self) -> None:
        with transaction(self.engine) as conn:
            rows = conn.exec_driver_sql(
                "SELECT run.id, slide.state, run.state FROM run JOIN slide ON slide.id = slide_id"
            )
            assert {row[0]: (row[1], row[2]) for row in rows} == {n: (r.slide, r.state) for n, r in self.runs.items()}
            assert sorted(runs.due(conn, 100)) == sorted(n for n, run in self.runs.items() if run.due)
            assert violations(conn) == []


def test_the_database_lives_as_the_model_does(engine: Engine) -> None:
    class LifeHere(Life):
        pass

    LifeHere.engine = engine
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    limits = settings(
        max_examples=15, stateful_step_count=25, deadline=None, database=None, suppress_health_check=quiet
    )
    run_state_machine_as_test(LifeHere, settings=limits)
