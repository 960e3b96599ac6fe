"""Row 44: two slides of one patient finish at the same moment, a hundred times over."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from db import runs
from db.faultpoints import Action, Fault
from db.records import Claim, SlideFacts, Specimen
from db.session import make_engine, transaction
from tests.faults.rig import PATIENCE_S, Rig
from tests.support.rows import batch, plan, stored, taken
from worker.verdict import decide

_TIMES = 100
_DEFAULTS = runs.LabDefaults(specimen=Specimen.MARROW, site_mpp_um=0.25, rule="marrowline-2026.1", max_attempts=5)
_MET_S = 60.0


def together(rig: Rig) -> None:
    """Row 44: once with two whole workers, then a hundred times with their last transactions alone."""
    rig.arm(Fault(name="met", point="run.ending", action=Action.MEET, times=2, seconds=_MET_S))
    rig.line("worker", "worker-2")
    rig.upload("first", "a")
    rig.upload("second", "b")
    rig.settled()
    assert rig.struck("met") == 2
    rig.stop("scheduler")  # it would find no object behind the slides that follow
    engine = make_engine(rig.ground.postgres.url(rig.database), pool_size=4)
    try:
        for number in range(_TIMES):
            _finish_both(engine, number)
            done = rig.value(f"SELECT slides_done FROM report.patients WHERE patient = 'pair-{number}'")
            assert done == 2, f"pair {number}: the verdict knows {done} slides"
    finally:
        engine.dispose()
    rig.note(f"{_TIMES} pairs")


def _finish_both(engine: Engine, number: int) -> None:
    claims = [_read(engine, f"pair-{number}", name) for name in ("a", "b")]
    gate = threading.Barrier(len(claims), timeout=PATIENCE_S)

    def finish(claim: Claim) -> None:
        gate.wait()
        runs.finish(engine, claim, decide)

    with ThreadPoolExecutor(len(claims)) as pool:
        list(pool.map(finish, claims))


def _read(engine: Engine, patient: str, name: str) -> Claim:
    """Register a slide and write its one batch; return the claim that may finish it."""
    with transaction(engine) as conn:
        facts = SlideFacts(lab="lab", patient=patient)
        run_id = runs.register(conn, stored(f"lab/{patient}/{name}.tif"), facts, _DEFAULTS, decide)
    assert run_id is not None
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch(classes=["lymphoblast", "lymphocyte"]))
    return claim
