"""A lock that the kernel gives back when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.05


class HeldError(Exception):
    """Another process held the lock for the whole time that was waited."""


@contextmanager
def locked(path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file for the block; raises HeldError when another process does not let go in time.

    The file stays: removing it would let two holders in, one on the old file and one on the new.
    """
    until = time.monotonic() + wait_s
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise HeldError(str(path)) from error
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)
