"""Rows 10-13: a broker that dies, forgets everything, stays away, or is full."""

from __future__ import annotations

import time

import psutil

from tests.faults.proxy import Trouble
from tests.faults.rig import Rig, through
from tests.faults.rows_workers import held
from worker import queues

WAITING = ("waits-1", "waits-2", "waits-3")
"""Names of slides that wait while another is read."""


def _with_three_waiting(rig: Rig) -> psutil.Process:
    """Have the worker stand still in mid-slide while three messages wait; return its child."""
    child = rig.child(held(rig, "batch.read"))
    for number, name in enumerate(WAITING):
        rig.upload(name, "abc"[number])
    rig.until(lambda: len(messages(rig)) >= len(WAITING), "three messages wait")
    return child


def messages(rig: Rig) -> set[bytes]:
    """Return what waits in the broker."""
    with rig.redis.client() as client:
        return {message for name in queues.LISTS.values() for message in client.lrange(name, 0, -1)}


def _sweeps_failed(rig: Rig) -> int:
    return len(rig.said("sweep failed"))


def killed(rig: Rig) -> None:
    """Row 10."""
    child = _with_three_waiting(rig)
    before = messages(rig)
    rig.redis.kill()
    rig.redis.start()
    # Celery may have put back the message of the slide that is being read, which its claim refuses.
    assert before <= messages(rig), "the append-only file lost messages"
    child.resume()
    rig.settled()


def flushed(rig: Rig) -> None:
    """Row 11."""
    child = _with_three_waiting(rig)
    started = time.monotonic()
    with rig.redis.client() as client:
        client.flushall()
    rig.until(lambda: len(messages(rig)) >= len(WAITING), "all are rung for again")
    rig.note(f"rung for again after {time.monotonic() - started:.1f} s")
    child.resume()
    rig.settled()


def away(rig: Rig) -> None:
    """Row 12: first the server is gone, then it is there and says nothing."""
    child = rig.child(held(rig, "batch.read"))
    rig.redis.kill()
    _uploaded_without_it(rig)
    child.resume()
    rig.until(lambda: rig.value("SELECT count(*) FROM run WHERE state = 'done'") == 1, "the worker finishes without it")
    rig.until(lambda: _sweeps_failed(rig) >= 3, "sweeps fail")
    rig.redis.start()
    rig.settled()
    rig.note(f"sweeps failed: {_sweeps_failed(rig)}")
    _silent(rig)


def _silent(rig: Rig) -> None:
    """Let nothing pass to the broker or back, nor any word that it does not, until a sweep gives up waiting."""
    rig.line(schedulers=())
    over = through(rig.to_redis, rig)
    rig.start("scheduler-2", **over)
    rig.start("worker-3", **over)
    rig.upload("heard", patient="silent")
    rig.settled()
    failed, started = _sweeps_failed(rig), time.monotonic()
    rig.to_redis.trouble = Trouble(silent=True)
    _uploaded_without_it(rig, "silent")
    rig.until(lambda: _sweeps_failed(rig) > failed, "a sweep gives up on the silent broker")
    rig.note(f"gave up on silence after {time.monotonic() - started:.0f} s")
    rig.to_redis.trouble = Trouble()
    rig.to_redis.break_all()
    rig.settled()


def _uploaded_without_it(rig: Rig, patient: str = "p") -> None:
    """Upload three slides, which are registered whatever the broker does."""
    before = rig.value("SELECT count(*) FROM run")
    for number, name in enumerate(WAITING):
        rig.upload(name, "abc"[number], patient=patient)
    after = before + len(WAITING)
    rig.until(lambda: rig.value("SELECT count(*) FROM run") == after, "slides are registered without it")


def full(rig: Rig) -> None:
    """Row 13."""
    child = rig.child(held(rig, "batch.read"))
    with rig.redis.client() as client:
        client.config_set("maxmemory", "1")
        for number, name in enumerate(WAITING):
            rig.upload(name, "abc"[number])
        rig.until(lambda: rig.said("the broker takes no messages"), "the trouble is logged")
        rig.until(lambda: rig.value("SELECT count(*) FROM run WHERE state = 'pending'") == 3, "the runs wait as rows")
        client.config_set("maxmemory", "0")
    child.resume()
    rig.settled()
