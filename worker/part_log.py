"""Remembers on disk which parts of a download have come, so that a killed one goes on where it stopped.

One line a part: file number, part number, digest of the part's bytes. A part counts only when the bytes that lie on
the disk still have that digest: a line may have outlived bytes that a crash of the machine took back.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

PART_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20
_LINE = re.compile(rb"(\d{1,6}) (\d{1,9}) ([0-9a-f]{64})")


class PartDigest:
    """The digest of one part, computed while its bytes pass."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._hash.update(data)

    def text(self) -> str:
        """Return the digest of all bytes so far, 64 hex digits."""
        return self._hash.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one file; safe to use from several threads."""

    log: Path
    file_no: int = 0

    def add(self, part_no: int, digest: str) -> None:
        """Note that a part lies on the disk; one write, so that a kill leaves a whole line or a cut one."""
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, f"{self.file_no} {part_no} {digest}\n".encode())
        finally:
            os.close(fd)

    def kept(self, fd: int, size: int) -> frozenset[int]:
        """Return the parts of the open file that have come and are still what they were."""
        noted = self._noted()
        spans = {number: (number * PART_BYTES, min((number + 1) * PART_BYTES, size)) for number in noted}
        return frozenset(
            number for number, (at, end) in spans.items() if at < end and _digest(fd, at, end) == noted[number]
        )

    def _noted(self) -> dict[int, str]:
        try:
            lines = self.log.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return {}
        found = (_LINE.fullmatch(line) for line in lines)
        return {int(line[2]): line[3].decode() for line in found if line and int(line[1]) == self.file_no}


def _digest(fd: int, start: int, end: int) -> str:
    digest = PartDigest()
    while start < end and (data := os.pread(fd, min(_CHUNK_BYTES, end - start), start)):
        digest.update(data)
        start += len(data)
    return digest.text()
