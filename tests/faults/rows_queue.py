"""Rows 46-48: a burst of uploads, a slide that brings its reader down among many, and garbage on the queue."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

from scheduler.doorbell import CeleryDoorbell
from scheduler.sweep import budget_for
from tests.faults.changes import POISON, POISONED
from tests.faults.rig import CANARY, PATIENCE_S, Rig
from tests.support.forged import Trap, envelope
from worker import queues

LARGE_TILES = {"tile_core_px": "1024", "tiles_per_batch": "8"}
"""Small slides are read in one piece where their number matters, and not their batches."""
_BURST = {"big": 72, "middle": 36, "small": 12}
_OTHERS = 99
_LONG_S = 5 * PATIENCE_S
_LAST_TURNS = """
    SELECT code, max(turn) AS turn FROM
        (SELECT lab.code, row_number() OVER (ORDER BY t.id) AS turn FROM transition AS t
           JOIN run ON run.id = t.run_id JOIN slide ON slide.id = run.slide_id
           JOIN patient ON patient.id = slide.patient_id JOIN lab ON lab.id = patient.lab_id
          WHERE t.to_state = 'running') AS turns
     GROUP BY code
"""
_ENDED = "SELECT count(*) FROM run WHERE state IN ('done', 'quarantined')"
_HELD_S = """
    SELECT extract(epoch FROM max(at) - min(at))::float FROM transition
      JOIN run ON run.id = run_id JOIN slide ON slide.id = slide_id
     WHERE key LIKE '%poison%' AND to_state IN ('running', 'quarantined')
"""


def burst(rig: Rig) -> None:
    """Row 46: every laboratory has its turns, whatever the others sent, and the broker stays short."""
    rig.line(schedulers=())
    rig.execute("DELETE FROM worker")  # those of earlier rows count for a while, and the budget goes by their number
    for lab, slides in _BURST.items():
        for number in range(slides):
            key = f"{lab}/{CANARY}-p{number // 10}/{CANARY}-{number}.tif"
            rig.put(key, rig.ground.slide("abc"[number % 3]).read_bytes())
            rig.uploaded[key] = None
    rig.start("scheduler")
    rig.until(lambda: rig.value("SELECT count(*) FROM run") == len(rig.uploaded), "all are registered")
    for name in ("worker-3", "worker-4"):
        rig.start(name, max_tasks_per_child="0", **LARGE_TILES)  # a child that was replaced counts for a while
    bell = CeleryDoorbell(queues.make_app(rig.redis.url))
    depths = [0]

    def ended() -> bool:
        depths.append(bell.depth())
        return int(rig.value(_ENDED)) == len(rig.uploaded)

    rig.until(ended, "all are read", within_s=_LONG_S)
    assert rig.value("SELECT count(*) FROM run WHERE state = 'done' AND attempt = 1") == len(rig.uploaded)
    assert 0 < max(depths) <= budget_for(2), f"{max(depths)} messages waited"
    _check_turns({row["code"]: row["turn"] for row in rig.rows(_LAST_TURNS)})
    rig.note(f"{len(rig.uploaded)} slides, at most {max(depths)} messages")


def _check_turns(last: Mapping[str, int]) -> None:
    """Fail unless each laboratory had its last turn when strict turns would have given it."""
    slack = 2 * budget_for(2)  # what waited in the broker when the turns began, and what was being read
    for lab, slides in _BURST.items():
        fair = sum(min(slides, others) for others in _BURST.values())
        assert last[lab] <= fair + slack, f"the last slide of {lab} had turn {last[lab]}, in strict turns {fair}"


def poison(rig: Rig) -> None:
    """Row 47: both crashes of the one slide's reader are over before the others have been read."""
    rig.line(schedulers=())
    (rig.folder / POISONED).unlink(missing_ok=True)
    for number in range(_OTHERS):
        rig.upload(f"bystander-{number}", "abc"[number % 3], patient=f"p{number // 10}", readable=False)
    whole = rig.ground.slide("a").read_bytes()
    rig.upload_bytes("poison", whole + POISON, patient="p0")
    for name in ("worker-3", "worker-4"):
        rig.start(name, change="reader of the poison crashes", **LARGE_TILES)
    rig.start("scheduler")
    rig.until(lambda: rig.value(_ENDED) == len(rig.uploaded), "all have ended", within_s=_LONG_S)
    ends = rig.rows("SELECT state, error_code, attempt FROM run WHERE state <> 'done'")
    assert ends == [{"state": "quarantined", "error_code": "reader_crashed", "attempt": 1}], ends
    crashes = len((rig.folder / POISONED).read_bytes())
    assert crashes == 2
    held_s = rig.value(_HELD_S)
    assert held_s < PATIENCE_S / 10, f"the poison held its worker for {held_s:.1f} s"
    rig.note(f"{crashes} crashes; the poison held its worker for {held_s:.2f} s, {_OTHERS} others were read")


def garbage(rig: Rig) -> None:
    """Row 48: what is no message of ours is refused; bytes that are no message end the worker, which starts again."""
    rig.line("worker")
    trap = rig.folder / "trapped"
    forged = [
        envelope(pickle.dumps(Trap(trap)), kind="application/x-python-serialize"),
        envelope(b'[["1"], {}, {}]', task="os.system"),
        envelope(b'[["no run"], {}, {}]'),
        envelope(b"[[4611686018427387904], {}, {}]"),
        b"\x80\x04no message at all",
    ]
    with rig.redis.client() as client:
        for message in forged:
            client.lpush(queues.QUEUE, message)
        rig.until(lambda: rig.ended("worker") is not None, "the worker ends at what is no message")
        rig.upload("bystander")
        rig.settled(revive=True)
        rig.until(lambda: client.llen(queues.QUEUE) == 0, "nothing waits any more")
    log = rig.log_of("worker").read_text()
    assert not trap.exists(), "a pickle ran"
    for word in ("ContentDisallowed", "os.system", "not a run id", "JSONDecodeError"):
        assert word in log, f"the worker did not say {word}"
    rig.note(f"{len(forged)} forged messages")
