"""Many workers that crash and hang at random: every run ends once, with the cells of one owner, and exact verdicts."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine

from db import runs
from db.errors import FencedError
from db.records import Batch, Claim
from db.session import make_engine, retrying, transaction
from tests.support.invariants import violations
from tests.support.rows import add_slide, cell, decide, plan, scalar

SLIDES, WORKERS, BATCHES, LEASE_S = 40, 8, 3, 0.25


def _batch(no: int, fence: int) -> Batch:
    """Return cells that tell which claim wrote them: equal results would hide a writer that should have stopped."""
    return Batch(no=no, cells=tuple(replace(cell(i), features={"fence": float(fence)}) for i in range(fence % 3 + 1)))


def _read(engine: Engine, claim: Claim, dice: random.Random) -> str:
    runs.store_plan(engine, claim, plan(n_batches=BATCHES, digest=f"plan of {claim.fence}"))
    for no in range(BATCHES):
        luck = dice.random()
        if luck < 0.06:
            return "crashed"
        if luck < 0.14:
            time.sleep(2 * LEASE_S)
        runs.write_batch(engine, claim, _batch(no, claim.fence))
    runs.finish(engine, claim, decide)
    return "done"


def _work(engine: Engine, seed: int) -> Counter[str]:
    dice, outcomes = random.Random(seed), Counter[str]()
    while True:
        with transaction(engine) as conn:
            open_runs = conn.exec_driver_sql("SELECT id FROM run WHERE state IN ('pending', 'running', 'retry_wait')")
            waiting = list(open_runs.scalars())
        if not waiting:
            return outcomes
        claim = runs.claim(engine, dice.choice(waiting), worker_id=f"w{seed}", lease_s=LEASE_S)
        if claim is None:
            outcomes["refused"] += 1
            time.sleep(0.01)
            continue
        try:
            outcomes[_read(engine, claim, dice)] += 1
        except FencedError:
            outcomes["fenced"] += 1


def _sweep(engine: Engine) -> None:
    def once() -> None:
        with transaction(engine) as conn:
            runs.expire(conn, decide)

    while scalar(engine, "SELECT count(*) FROM run WHERE state IN ('pending', 'running', 'retry_wait')"):
        retrying(once)
        time.sleep(LEASE_S)


def test_a_storm_leaves_one_exact_result(lab: Engine, database_url: str) -> None:
    for number in range(SLIDES):
        add_slide(lab, str(number), patient=f"p{number % 7}")
    busy = make_engine(database_url, pool_size=WORKERS + 1)
    with ThreadPoolExecutor(WORKERS + 1) as pool:
        working = [pool.submit(_work, busy, seed) for seed in range(WORKERS)]
        pool.submit(_sweep, busy).result()
        outcomes = sum((one.result() for one in working), Counter[str]())
    busy.dispose()
    assert outcomes["fenced"] > 0, "the storm was too mild to prove anything"
    assert outcomes["done"] == scalar(lab, "SELECT count(*) FROM run WHERE state = 'done'")
    mixed = (
        "SELECT run_id FROM cell JOIN run ON run.id = run_id AND state = 'done' WHERE features <> ARRAY[fence::real]"
    )
    assert scalar(lab, f"SELECT count(*) FROM ({mixed}) AS wrong") == 0
    with transaction(lab) as conn:
        assert violations(conn) == []
