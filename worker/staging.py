"""Brings slides onto this machine, into a bounded cache that all its workers share.

A slide that was read stays until its room is needed: whoever asks for the same version of the same object again gets
it at once, two who ask at the same time wait for one download, and a download that was killed goes on where it stopped.
Nothing of an object's key reaches the file system but an extension from a fixed list, and, in slides of several files,
the plain names that their index uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db.faultpoints import faultpoint
from db.records import StoredObject
from worker.cache_entry import EXTENSIONS, Wanted, Whole
from worker.cache_files import is_full
from worker.cache_room import CacheSpec, Hold, opened
from worker.errors import MarrowlineError, NoSpaceError, ObjectChangedError, ServiceError
from worker.storage import ObjectStore, Progress

__all__ = ["EXTENSIONS", "CacheSpec", "NoSpaceError", "StagedFile", "prefetch", "staged"]

_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A slide on this machine, as long as the context that gave it is open."""

    path: Path  # the file to open; its folder holds the slide's files and nothing else
    sha256: str  # of the file; of a set: over its sorted names and their files' SHA-256
    size: int  # bytes of all its files


@contextmanager
def staged(
    store: ObjectStore,
    obj: StoredObject,
    cache: CacheSpec,
    *,
    files: Sequence[StoredObject] = (),
    sha256: str | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[StagedFile]:
    """Give the slide as local files that stay while the context is open.

    files: the objects of a slide of several files, its index among them; empty: the slide is `obj` alone.
    sha256: what the slide had when it was first read; a copy that differs is thrown away.
    check: called while another one brings the same slide; what it raises ends the waiting.
    Raises NoSpaceError when it does not fit beside what is being read, ObjectChangedError, ServiceError, and
    BadSlideError for a set whose files cannot be laid out.
    """
    wanted = Wanted(obj=obj, files=tuple(files))
    with _disk_trouble():
        hold, whole = _obtained(store, wanted, cache, progress, check)
    try:
        if sha256 not in (None, whole.sha256):
            with _disk_trouble(), opened(cache) as room:
                room.discard(hold)
            raise ServiceError("the bytes that came are not those that this version had when it was first read")
        with _disk_trouble():
            hold.entry.touch()
        yield StagedFile(path=whole.path, sha256=whole.sha256, size=whole.size)
    finally:
        hold.release()


def prefetch(store: ObjectStore, obj: StoredObject, cache: CacheSpec, *, files: Sequence[StoredObject] = ()) -> bool:
    """Bring a slide that will be wanted soon; tell whether it is here now.

    Only slides that were read and are not in use make way for it. Trouble of any kind is left to `staged`.
    """
    wanted = Wanted(obj=obj, files=tuple(files))
    try:
        with _disk_trouble():
            with opened(cache) as room:
                hold = room.take(wanted, gently=True)
            if hold is None:
                return False
            try:
                return bool(hold.whole or _brought(store, wanted, hold, cache, None))
            finally:
                hold.release()
    except MarrowlineError:
        return False


def _obtained(
    store: ObjectStore, wanted: Wanted, cache: CacheSpec, progress: Progress | None, check: Callable[[], None]
) -> tuple[Hold, Whole]:
    """Return the slide with a shared lock on it, after bringing it or waiting for who does."""
    while True:
        with opened(cache) as room:
            hold = room.take(wanted)
        if hold is None:
            check()
            time.sleep(_POLL_S)
            continue
        if hold.whole:
            return hold, hold.whole
        try:
            whole = _brought(store, wanted, hold, cache, progress)
        except BaseException:
            hold.release()
            raise
        with opened(cache) as room:
            return room.share(hold, whole), whole


def _brought(store: ObjectStore, wanted: Wanted, hold: Hold, cache: CacheSpec, progress: Progress | None) -> Whole:
    """Fetch what is missing of the slide into the entry that is held alone."""
    digests = []
    try:
        for member, (path, parts) in zip(wanted.members, hold.entry.targets(), strict=True):
            digests.append(store.fetch(member, path, progress=progress, parts=parts))
            size = path.stat().st_size
            if size != member.size:
                raise ServiceError(f"{size} bytes came of an object of {member.size}")
    except ObjectChangedError:
        with opened(cache) as room:
            room.discard(hold)
        raise
    faultpoint("slide.fetched")
    return hold.entry.complete(wanted, digests)


@contextmanager
def _disk_trouble() -> Iterator[None]:
    """Turn a full or unusable disk into an error of this project."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise NoSpaceError("the cache's disk is full: clear it, or set MARROWLINE_CACHE_DIR") from error
        raise ServiceError(f"staging a slide on the disk failed: {error.strerror}") from error
