"""Changes of the product's code in a single process: models that misbehave, and mutants that must be caught.

A change is made in a part before it starts; nothing of it is in the product.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy import Connection, Float, bindparam, literal, select, text

from db import batches, leases, steps
from db.cell_tables import batch as batch_table
from db.records import Claim
from worker.cells import classify
from worker.slides.sandbox import connection, spawn

POISON, POISONED = b"poison of the fault matrix", "poisoned"
"""What the poisonous slide ends in, and the file that counts what it did."""

_NO_LEASE = """
    UPDATE run SET state = 'running', fence = run.fence + 1, attempt = run.attempt + 1,
           lease_owner = :worker_id, lease_until = now() + make_interval(secs => :lease_s), progress_at = now(),
           changed_by = :worker_id, change_reason = 'claim'
      FROM slide
     WHERE run.id = :run_id AND slide.id = run.slide_id AND slide.state = 'current'
       AND run.state IN ('pending', 'retry_wait', 'running')
    RETURNING run.fence, run.attempt
"""


# As the product's modules they are read-only to a type checker, and here is the one place that changes them.
_connection: Any = connection.Connection
_classify: Any = classify
_batches: Any = batches
_leases: Any = leases
_steps: Any = steps


def _first_call(change: Callable[[Any], Any]) -> None:
    """Have the first batch of crops that a process calls come out changed."""
    honest, called = _classify._called, list[bool]()

    def spoilt(*arguments: Any) -> Any:
        called.append(True)
        probabilities, outlying = honest(*arguments)
        return (change(probabilities) if len(called) == 1 else probabilities), outlying

    _classify._called = spoilt


def _beyond_one() -> None:
    _first_call(lambda probabilities: probabilities + 1)


def _not_a_number() -> None:
    _first_call(lambda probabilities: np.full_like(probabilities, np.nan))


def _memory_for_one() -> None:
    honest = _classify._called

    def scarce(crops: Any, *others: Any) -> Any:
        if len(crops) > 1:
            raise torch.OutOfMemoryError("made up: more than one crop")
        return honest(crops, *others)

    _classify._called = scarce


def _device_breaks() -> None:
    """Break the device of the first process that uses it for good; the one in its place has a sound one."""
    honest, broken = _classify._called, list[bool]()

    def called(*arguments: Any) -> Any:
        if not broken:
            with suppress(FileExistsError):
                os.close(os.open("device-broken", os.O_CREAT | os.O_EXCL))  # in the row's own folder
                broken.append(True)
        if broken:
            raise torch.AcceleratorError("made up: device-side assert triggered")
        return honest(*arguments)

    _classify._called = called


def _no_fence() -> None:
    """Let a worker write whoever holds the run by now."""

    def held(conn: Connection, claim: Claim, **_: Any) -> Any:
        return steps.locked(conn, claim.run_id)

    _steps.held = held


def _no_lease() -> None:
    """Let any message take a run from the worker that reads it."""
    _leases._CLAIM = text(_NO_LEASE)


def _own_clock() -> None:
    """Let a worker compare and write the end of a lease by its own clock, and not by the database's."""
    clock = bindparam("clock", callable_=time.time, type_=Float)
    _leases._CLAIM = text(str(_leases._CLAIM).replace("now()", "to_timestamp(:clock)")).bindparams(clock)


def _no_batch_delete() -> None:
    """Write a batch without taking away what an earlier try left of it."""
    honest = _batches.delete

    def delete(table: Any) -> Any:
        return select(literal(1)) if table is batch_table else honest(table)

    _batches.delete = delete


def _poison_strikes(number: signal.Signals) -> None:
    """Send every slide's process that is to read the poison a signal, and note each in the row's own folder."""

    def struck(wish: spawn.Wish) -> spawn.SlideProcess:
        process = spawn.start(wish)
        if (wish.folder / wish.name).read_bytes().endswith(POISON):
            signal.pidfd_send_signal(process._pidfd, number)
            with Path(POISONED).open("ab") as log:
                log.write(b".")
        return process

    _connection.__init__.__defaults__ = (struck,)


CHANGES: Mapping[str, Callable[[], None]] = {
    "probabilities beyond one": _beyond_one,
    "probabilities not a number": _not_a_number,
    "memory for one crop": _memory_for_one,
    "device breaks for good": _device_breaks,
    "reader of the poison crashes": partial(_poison_strikes, signal.SIGSEGV),
    "reader of the poison hangs": partial(_poison_strikes, signal.SIGSTOP),
    "no fence": _no_fence,
    "no lease": _no_lease,
    "leases by the worker's clock": _own_clock,
    "no batch delete": _no_batch_delete,
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A guard that is taken away, and the row that must notice."""

    change: str
    row: int
    statement: str = ""  # takes away the second guard, in the database, where there is one


MUTANTS: tuple[Mutant, ...] = (
    Mutant(change="no fence", row=5),
    Mutant(change="no lease", row=9, statement="ALTER TABLE run DISABLE TRIGGER run_step"),
    Mutant(change="leases by the worker's clock", row=43),
    Mutant(change="no batch delete", row=14),
)
