"""The life of a run, under one name: register, due, claim, write, finish, fail.

The statements live beside each other by who calls them: `db.register` and `db.sweeping` for the scheduler (inside
the caller's transaction), `db.leases` and `db.batches` for the worker (each call a transaction of its own). Locks
are taken in the order run, patient, verdict, and only the database's clock is used.
"""

from __future__ import annotations

from db.batches import store_plan, write_batch
from db.labs import LabDefaults
from db.leases import claim, fail, finish, heartbeat, release, retry_later
from db.register import current_slides, mark_found, mark_missing, register
from db.sweeping import cancel, due, expire, requeue, sweep_lock, urgent

__all__ = [
    "LabDefaults",
    "cancel",
    "claim",
    "current_slides",
    "due",
    "expire",
    "fail",
    "finish",
    "heartbeat",
    "mark_found",
    "mark_missing",
    "register",
    "release",
    "requeue",
    "retry_later",
    "store_plan",
    "sweep_lock",
    "urgent",
    "write_batch",
]
