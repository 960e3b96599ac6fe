"""The slide cache of one machine: who may use an entry, and which entries make way for another.

Every lock on an entry is taken while the cache's own lock is held, so nothing changes between looking and taking. A
lock goes with its process: what nobody holds may be evicted, whatever state a kill left it in.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.cache_entry import Entry, Wanted, Whole
from worker.cache_files import is_full
from worker.errors import NoSpaceError

_FOLDER = "slides"
_LOCK = ".lock"
_HEADROOM = 1.2
_ENTRY = re.compile(r"[0-9a-f]{40}")
_GONE = re.compile(r"\.gone-[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """The folder that slides are staged in, and its bounds."""

    folder: Path
    max_bytes: int
    reserve_bytes: int  # of the disk, left untouched


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A lock on an entry: shared when the slide is whole, else exclusive, to bring it."""

    entry: Entry
    fd: int
    whole: Whole | None

    def release(self) -> None:
        """Let others evict the entry."""
        os.close(self.fd)


@contextmanager
def opened(spec: CacheSpec) -> Iterator[Room]:
    """Hold the cache against every other process of this machine, for as short as possible."""
    root = spec.folder / _FOLDER
    spec.folder.mkdir(parents=True, exist_ok=True)
    root.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield Room(root, spec)
    finally:
        os.close(fd)


class Room:
    """The cache while its lock is held."""

    def __init__(self, root: Path, spec: CacheSpec) -> None:
        self._root = root
        self._spec = spec
        for path in root.iterdir():  # an eviction that was killed
            if _GONE.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def take(self, wanted: Wanted, *, gently: bool = False) -> Hold | None:
        """Lock the slide's entry, made when there is none; None while another process brings it.

        gently: let nothing make way that has not been read yet. Raises NoSpaceError, BadSlideError, OSError.
        """
        entry = Entry(folder=self._root / wanted.digest)
        fd = _locked(entry, fcntl.LOCK_SH)
        if fd is None and entry.folder.exists():
            return None
        if fd is not None:
            whole = entry.whole()
            if whole is not None:
                return Hold(entry=entry, fd=fd, whole=whole)
            if not _relocked(fd, fcntl.LOCK_EX):  # it was changed on the disk while others read it
                os.close(fd)
                return None
            if entry.usable(wanted):
                return Hold(entry=entry, fd=fd, whole=None)
            entry.remove()
            os.close(fd)
        self._make(entry, wanted, gently=gently)
        fd = _locked(entry, fcntl.LOCK_EX)
        return None if fd is None else Hold(entry=entry, fd=fd, whole=None)

    def share(self, hold: Hold, whole: Whole) -> Hold:
        """Let others read the slide that the hold has brought."""
        _relocked(hold.fd, fcntl.LOCK_SH)
        return Hold(entry=hold.entry, fd=hold.fd, whole=whole)

    def discard(self, hold: Hold) -> None:
        """Remove the held entry, unless others read it too."""
        if _relocked(hold.fd, fcntl.LOCK_EX):
            hold.entry.remove()

    @property
    def held_bytes(self) -> int:
        """Bytes of all entries, those under way included."""
        return sum(entry.size for entry in self._entries())

    def _make(self, entry: Entry, wanted: Wanted, *, gently: bool) -> None:
        """Make the entry after others made way for it."""
        if wanted.size > self._spec.max_bytes:
            raise NoSpaceError(self._does_not_fit(wanted.size, self.held_bytes))
        while True:
            self._make_way(wanted.size, gently=gently)
            try:
                entry.make(wanted)
            except OSError as error:
                shutil.rmtree(entry.folder, ignore_errors=True)
                oldest = self._evictable(gently=gently)[:1] if is_full(error) else []
                if not oldest:
                    raise
                oldest[0].remove()
            else:
                return

    def _make_way(self, size: int, *, gently: bool) -> None:
        """Evict what was read longest ago until the bytes fit; evict nothing when that would not do."""
        evictable = self._evictable(gently=gently)
        trouble = self._trouble(size, freed=sum(entry.size for entry in evictable))
        while trouble is None and evictable and self._trouble(size, freed=0):
            evictable.pop(0).remove()
        trouble = trouble or self._trouble(size, freed=0)
        if trouble:
            raise NoSpaceError(trouble)

    def _trouble(self, size: int, *, freed: int) -> str | None:
        """Return why the bytes would not fit if `freed` bytes were gone; None when they would."""
        held = self.held_bytes - freed
        if held + size > self._spec.max_bytes:
            return self._does_not_fit(size, held)
        free = shutil.disk_usage(self._root).free + freed
        if free < size * _HEADROOM + self._spec.reserve_bytes:
            return (
                f"a slide of {size} bytes does not fit into {free} bytes of free disk with a reserve of "
                f"{self._spec.reserve_bytes}: clear the disk, or set MARROWLINE_CACHE_DIR to another one"
            )
        return None

    def _does_not_fit(self, size: int, held: int) -> str:
        return (
            f"a slide of {size} bytes does not fit beside {held} in use into a cache of {self._spec.max_bytes}: "
            "wait, or raise MARROWLINE_CACHE_MAX_BYTES"
        )

    def _evictable(self, *, gently: bool) -> list[Entry]:
        """Return the entries that nobody holds, the one read longest ago first."""
        entries = sorted(self._entries(), key=lambda entry: entry.used_ns)
        return [entry for entry in entries if (entry.was_read or not gently) and _is_free(entry)]

    def _entries(self) -> list[Entry]:
        return [Entry(folder=path) for path in self._root.iterdir() if _ENTRY.fullmatch(path.name) and path.is_dir()]


def _locked(entry: Entry, how: int) -> int | None:
    """Return a descriptor of the entry with the lock, None when there is no entry or another holds it."""
    try:
        fd = os.open(entry.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    if _relocked(fd, how):
        return fd
    os.close(fd)
    return None


def _relocked(fd: int, how: int) -> bool:
    """Tell whether the descriptor has that lock now; a refused one leaves it without any."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(entry: Entry) -> bool:
    fd = _locked(entry, fcntl.LOCK_EX)
    if fd is not None:
        os.close(fd)
    return fd is not None
