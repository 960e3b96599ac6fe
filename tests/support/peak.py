"""Runs a function in a process of its own and tells how much memory it took at most."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from typing import Any


def peak_bytes(work: Callable[..., object], *given: Any) -> int:
    """Return the most bytes that a fresh process held while it did the work; the work fails the caller."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(sender, work, given))
    process.start()
    sender.close()
    try:
        found = receiver.recv()
    finally:
        process.join()
    if isinstance(found, BaseException):
        raise found
    return int(found)


def _measured(sender: Any, work: Callable[..., object], given: tuple[Any, ...]) -> None:
    try:
        work(*given)
        sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    except BaseException as error:  # the caller is to see it, whatever it is
        sender.send(error)
