"""What an entry of the slide cache is made of: files with their disk space, small documents, times."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def make_folder(path: Path) -> None:
    """Make a folder that other users may read whatever the umask says: the reader process may be one."""
    path.mkdir()
    path.chmod(0o755)


def allocate(path: Path, size: int) -> None:
    """Make a file that other users may read, with its whole disk space, where the system can."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o644)
        if size and sys.platform == "linux":
            os.posix_fallocate(fd, 0, size)
        else:
            os.ftruncate(fd, size)
    finally:
        os.close(fd)


def stamp(path: Path) -> None:
    """Set the file's time to now: what the system sets itself is coarse, and entries are put in order by it."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def is_full(error: OSError) -> bool:
    """Tell whether the disk, or the user's part of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write(path: Path, document: object) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="ascii") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is none."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def boot() -> str:
    """Return what changes with every start of the machine; empty where the system does not tell."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
