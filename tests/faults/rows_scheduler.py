"""Rows 7 and 9: a scheduler that dies between commit and ring, and two of them at once."""

from __future__ import annotations

from db.faultpoints import Action, Fault
from scheduler.doorbell import CeleryDoorbell
from tests.faults.rig import LEASE_S, Rig
from worker import queues

_TWO = ("scheduler", "scheduler-2")
_DOUBLED = 3
"""So often every run is rung for beside the schedulers, as a broker may deliver a message again."""


def killed_before_the_ring(rig: Rig) -> None:
    """Row 7."""
    rig.arm(Fault(name="killed", point="slide.registered", action=Action.EXIT))
    rig.line("worker")
    rig.upload("struck")
    rig.until(lambda: rig.ended("scheduler") is not None, "the scheduler dies")
    assert rig.rows("SELECT state FROM run") == [{"state": "pending"}]
    rig.revive()
    rig.settled()


def two_schedulers(rig: Rig) -> None:
    """Row 9: one slide is rung for again while a worker takes its time over it and another has nothing to do."""
    rig.arm(Fault(name="slow", point="batch.read", action=Action.SLEEP, seconds=4 * LEASE_S))
    rig.line("worker", "worker-2", schedulers=_TWO)
    rig.upload("bystander-0", "a")
    rig.until_struck("slow")
    bell = CeleryDoorbell(queues.make_app(rig.redis.url))
    _ring_for_all(rig, bell)
    rig.until(lambda: bell.depth() == 0, "the other worker takes every message")
    for number in range(1, 6):
        rig.upload(f"bystander-{number}", "abc"[number % 3], patient=f"p{number % 2}")
    rig.until(lambda: rig.value("SELECT count(*) FROM run") == 6, "all are registered")
    _ring_for_all(rig, bell)
    rig.settled()
    rig.until(lambda: bell.depth() == 0, "every message is taken")


def _ring_for_all(rig: Rig, bell: CeleryDoorbell) -> None:
    for _ in range(_DOUBLED):
        bell.ring([row["id"] for row in rig.rows("SELECT id FROM run ORDER BY id")])
