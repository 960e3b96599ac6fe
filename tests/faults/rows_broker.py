"""Rows 10-13: a broker that dies, forgets everything, stays away, or is full."""

from __future__ import annotations

import time

import psutil

from tests.faults.rig import Rig
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
    """Row 12."""
    child = rig.child(held(rig, "batch.read"))
    rig.redis.kill()
    for number, name in enumerate(WAITING):
        rig.upload(name, "abc"[number])
    rig.until(lambda: rig.value("SELECT count(*) FROM run") == 1 + len(WAITING), "slides are registered without it")
    child.resume()
    rig.until(lambda: rig.value("SELECT count(*) FROM run WHERE state = 'done'") == 1, "the worker finishes without it")
    rig.until(lambda: _sweeps_failed(rig) >= 3, "sweeps fail")
    rig.redis.start()
    rig.settled()
    rig.note(f"sweeps failed: {_sweeps_failed(rig)}")


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
