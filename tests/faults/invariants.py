"""The twelve invariants, each a question to what a row has left behind; no answer means that it holds.

RELIABILITY's section 4 names them. What `tests.support.invariants` asks after every transaction is taken from there and
asked once more of a line that real faults have struck.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import psutil
from sqlalchemy import text

from db import patients
from scheduler.doorbell import CeleryDoorbell
from scheduler.intake import is_slide_key
from scheduler.sweep import budget_for
from tests.faults.rig import CANARY, OPEN, Rig
from tests.support.invariants import RULES
from worker import queues
from worker.slide_sets import set_kind
from worker.verdict import decide

_CELLS = """
    SELECT cell_class, round(x_l0::numeric, 1) AS x, round(y_l0::numeric, 1) AS y,
           round(((features ->> 'nucleus_area_um2')::numeric), 1) AS area
      FROM report.cells WHERE key = :key ORDER BY 1, 2, 3, 4
"""
_ZOMBIES = """
    SELECT batch.run_id, batch.no FROM batch JOIN transition AS taken
        ON taken.run_id = batch.run_id AND taken.to_state = 'running' AND taken.fence > batch.fence
     WHERE batch.written_at > taken.at
"""
_TWICE_READ = "SELECT slide_id, model_version_id FROM run GROUP BY 1, 2 HAVING count(*) > 1"
# A statement that is being carried out holds the keys that it asks for; what a resting session shows stays to be read.
_TEXTS = """
    SELECT concat_ws(' ', error_code, error_cause, error_remedy, change_reason, changed_by) FROM run
     UNION ALL SELECT reason || ' ' || actor FROM transition
     UNION ALL SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
"""
_POOLS = {"scheduler": 4, "webhook": 4, "worker": 8}
"""Most connections of one part: of a worker, those of its present child and of one that has just been replaced."""


def nothing_lost(rig: Rig) -> list[str]:
    """I1: every slide in the bucket is registered, as the version that lies there; of a set its index tells."""
    known = {row["key"]: row["etag"] for row in rig.rows("SELECT key, etag FROM slide WHERE state = 'current'")}
    lost = []
    for one in rig.store.list():
        if is_slide_key(one.key) and one.key not in known:
            lost.append(f"{one.key} is not registered")
        elif is_slide_key(one.key) and set_kind(one.key) is None and known[one.key] != one.etag:
            lost.append(f"{one.key} is registered as another version")
    return lost


def nothing_twice(rig: Rig) -> list[str]:
    """I2: one current slide for each key, one run for each slide and model version."""
    doubled = [f"slide {row['slide_id']} has two runs" for row in rig.rows(_TWICE_READ)]
    return doubled + _rules(rig, "one current slide per key", "every current slide has a run of the active model")


def everything_ends(rig: Rig) -> list[str]:
    """I3: no run is left open."""
    return [f"run {row['id']} is {row['state']}" for row in rig.rows(f"SELECT id, state FROM run WHERE {OPEN}")]


def complete(rig: Rig) -> list[str]:
    """I4: a done run has all batches of its plan, or those up to where it says that it stopped, each with its cells."""
    return _rules(
        rig,
        "a done run has all its batches",
        "a run that stopped early says where and why",
        "batches count their cells",
        "a done run's counts are its cells",
    )


def nothing_half_visible(rig: Rig) -> list[str]:
    """I5: reports hold cells of done runs only."""
    return _rules(rig, "only cells of done runs are reported")


def no_zombie(rig: Rig) -> list[str]:
    """I6: nothing is written after the end, nor by a worker that another had taken over from."""
    late = [f"batch {row['no']} of run {row['run_id']} is a zombie's" for row in rig.rows(_ZOMBIES)]
    return late + _rules(rig, "nothing is written after the end", "no batch is older than a newer owner's")


def one_finish(rig: Rig) -> list[str]:
    """I7: one end for each fence; fence and attempt only grow; the log of steps is a chain."""
    return _rules(rig, "one end per fence", "fence and attempt only grow", "the log is a chain")


def verdict_is_fresh(rig: Rig) -> list[str]:
    """I8: every verdict is what a computation from scratch gives, and none is final over an open slide."""
    stale = _rules(rig, "every patient has a verdict", "no final verdict over an open slide")
    stale += _rules(rig, "the slides' report and the verdict count alike")
    with rig.engine.connect() as conn:
        for row in conn.exec_driver_sql("SELECT patient_id, model_version_id, finding, inputs_digest FROM verdict"):
            now = patients.tally(conn, row.patient_id, row.model_version_id)
            if (decide(now).finding, patients.digest(now)) != (row.finding, row.inputs_digest):
                stale.append(f"the verdict of patient {row.patient_id} is stale")
    return stale


def golden(rig: Rig) -> list[str]:
    """I9: every drawn slide that is done has the cells of an undisturbed reading, and every one is done."""
    wrong = []
    for key, slide in rig.uploaded.items():
        if slide is not None and digest(rig, key) != rig.ground.golden[slide]:
            wrong.append(f"slide {slide} as {key.rpartition('-')[2]} reads otherwise than undisturbed")
    return wrong


def bounded(rig: Rig) -> list[str]:
    """I10: attempts, messages and connections stay within their bounds, and no process is left that should not be."""
    broken = _rules(rig, "attempts are bounded")
    with rig.engine.connect() as conn:
        waiting, live = CeleryDoorbell(queues.make_app(rig.redis.url)).depth(), rig.value("SELECT count(*) FROM worker")
        connections = conn.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name = 'marrowline'"
        ).scalar_one()
    if waiting > budget_for(live):
        broken.append(f"{waiting} messages wait")
    allowed = sum(_POOLS[name.partition("-")[0]] for name in rig.parts)
    if connections > allowed:
        broken.append(f"{connections} connections of {allowed}")
    return broken + [f"process {one.pid} is left" for one in _left(rig)]


def quiet(rig: Rig) -> list[str]:
    """I11: no pseudonym and no key stands in a log, in the broker, in an error text or in a statement."""
    loud = [path.name for path in (rig.folder / "logs").glob("*.log") if CANARY in path.read_text(errors="replace")]
    # The append-only file holds every command that the broker was ever given, whatever the list or table.
    if any(CANARY.encode() in path.read_bytes() for path in rig.redis.folder.rglob("*") if path.is_file()):
        loud.append("the broker")
    with rig.engine.connect() as conn:
        if any(CANARY in (row[0] or "") for row in conn.exec_driver_sql(_TEXTS)):
            loud.append("a text in Postgres")
    return [f"{name} holds a pseudonym or key" for name in loud]


def isolated(rig: Rig) -> list[str]:
    """I12: a slide that no fault was meant for is read at its first attempt."""
    slow = rig.rows(
        "SELECT slide.key, attempt FROM run JOIN slide ON slide.id = run.slide_id"
        " WHERE slide.key LIKE '%bystander%' AND (attempt <> 1 OR run.state <> 'done')"
    )
    return [f"{row['key'].rpartition('-')[2]} took {row['attempt']} attempts" for row in slow]


INVARIANTS: Mapping[int, Callable[[Rig], list[str]]] = {
    1: nothing_lost,
    2: nothing_twice,
    3: everything_ends,
    4: complete,
    5: nothing_half_visible,
    6: no_zombie,
    7: one_finish,
    8: verdict_is_fresh,
    9: golden,
    10: bounded,
    11: quiet,
    12: isolated,
}


def broken(rig: Rig, numbers: Iterable[int] = tuple(INVARIANTS)) -> list[str]:
    """Return what does not hold of the invariants with these numbers."""
    return [f"I{number}: {what}" for number in numbers for what in INVARIANTS[number](rig)]


def digest(rig: Rig, key: str) -> str:
    """Return the SHA-256 of the cells that reports hold of a slide: class, place to 0.1 px, area."""
    with rig.engine.connect() as conn:
        rows = [tuple(map(str, row)) for row in conn.execute(text(_CELLS), {"key": key})]
    return hashlib.sha256(repr(rows).encode()).hexdigest() if rows else "no cells"


def _rules(rig: Rig, *names: str) -> list[str]:
    with rig.engine.connect() as conn:
        return [name for name in names if conn.exec_driver_sql(f"{RULES[name]} LIMIT 1").first() is not None]


def _left(rig: Rig) -> list[psutil.Process]:
    """Return processes of the row that belong to no part that should run."""
    rig.note_family()
    wanted: set[int] = set()
    for process in rig.parts.values():
        wanted |= {one.pid for one in process.children(recursive=True)}
    return psutil.wait_procs([one for pid, one in rig.family.items() if pid not in wanted], timeout=20)[1]
