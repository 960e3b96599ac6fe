"""Memory that the worker and a slide's process share: pixels come back in it, and nothing else does."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np
from numpy.typing import NDArray

_PAGE = mmap.PAGESIZE


class Memory:
    """So many bytes of shared memory; it takes real memory only where it is written."""

    def __init__(self, size: int) -> None:
        self.fd = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, max(1, size))
            # The other side could shrink it otherwise, and reading here would then end this process.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._bytes = np.frombuffer(mmap.mmap(self.fd, max(1, size)), dtype=np.uint8)
        except BaseException:
            os.close(self.fd)
            raise

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._bytes.size

    def array(self, offset: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return (height, width, 3) uint8 from a place on; it stays valid after `close`.

        Raises:
            ValueError: when the memory ends before it.
        """
        return pixels_in(self._bytes, offset, height, width)

    def write(self, values: NDArray[np.int64]) -> None:
        """Put values at its start, for the other side to read."""
        self._bytes[: values.nbytes] = np.frombuffer(values.tobytes(), dtype=np.uint8)

    def close(self) -> None:
        """Let go of the descriptor; the memory itself goes with the last array of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class LastMapping:
    """The shared memory that the other side sent last, mapped here; most often it sends the same again."""

    def __init__(self) -> None:
        self._file: tuple[int, int] | None = None  # no other file has its numbers as long as it is mapped
        self._bytes: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def of(self, fd: int, size: int) -> NDArray[np.uint8]:
        """Return its first `size` bytes; to map 12 MB anew takes a millisecond, as long as a third of a tile."""
        status = os.fstat(fd)
        file = status.st_dev, status.st_ino
        if file != self._file or size > self._bytes.size:
            self._bytes = mapped(fd, size)
            self._file = file
        return self._bytes[:size]


def mapped(fd: int, size: int) -> NDArray[np.uint8]:
    """Return so many bytes of a file as (size,) uint8 that is written through."""
    # All of it will be written: mapped at once, it saves a fault for each page, a twentieth of a read.
    return np.frombuffer(mmap.mmap(fd, max(1, size), mmap.MAP_SHARED | mmap.MAP_POPULATE), dtype=np.uint8)


def pixels_in(memory: NDArray[np.uint8], offset: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return (height, width, 3) uint8 of a flat (N,) uint8 from a place on.

    Raises:
        ValueError: when it ends before.
    """
    size = height * width * 3
    if min(offset, height, width) < 0 or offset + size > memory.size:
        raise ValueError("the pixels lie outside the shared memory")
    return memory[offset : offset + size].reshape(height, width, 3)


def in_pages(size: int) -> int:
    """Return a size rounded up to whole pages."""
    return -(-size // _PAGE) * _PAGE
