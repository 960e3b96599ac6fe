"""Brings one slide at a time into a bounded folder on this machine, and takes it away again.

The local file is called by a random name: nothing of the object's key reaches the file system but an extension from
a fixed list, which some readers look at.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from db.records import StoredObject
from worker.errors import BadRequestError, NoSpaceError, ServiceError
from worker.storage import ObjectStore, Progress

__all__ = ["EXTENSIONS", "CacheSpec", "NoSpaceError", "StagedFile", "staged"]

EXTENSIONS = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".czi", ".png", ".jpg", ".jpeg", ".bmp"}
)
"""Slides and fields that are one file each, in lower case."""
_HEADROOM = 1.2
_LOCK = ".lock"
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """The folder that slides are staged in, and its bounds."""

    folder: Path
    max_bytes: int
    reserve_bytes: int  # of the disk, left untouched


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A slide on this machine, as long as the context that gave it is open."""

    path: Path
    sha256: str


@contextmanager
def staged(
    store: ObjectStore, obj: StoredObject, cache: CacheSpec, *, owner: str, progress: Progress | None = None
) -> Iterator[StagedFile]:
    """Fetch the object for `owner`, who is the only one of that name anywhere, and remove it at the end.

    NoSpaceError when it does not fit into the cache's bounds; what processes that died left behind is removed
    first. Else as ObjectStore.fetch.
    """
    if not _OWNER.fullmatch(owner):
        raise BadRequestError("an owner's name is letters, digits, dots, dashes and underscores")
    extension = PurePosixPath(obj.key).suffix.lower()
    folder = cache.folder / owner
    path = folder / f"{uuid.uuid4()}{extension if extension in EXTENSIONS else ''}"
    with _disk_trouble():
        cache.folder.mkdir(parents=True, exist_ok=True)
        lock = _reserve(path, obj.size, cache)
    try:
        with _disk_trouble():
            sha256 = store.fetch(obj, path, progress=progress)
            size = path.stat().st_size
        if size != obj.size:
            raise ServiceError(f"{size} bytes came of an object of {obj.size}")
        yield StagedFile(path=path, sha256=sha256)
    finally:
        with _locked(cache.folder / _LOCK):  # others add up sizes and sweep under it
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _reserve(path: Path, size: int, cache: CacheSpec) -> int:
    """Claim the disk space for one file and return the lock that marks its folder as in use."""
    with _locked(cache.folder / _LOCK):
        _sweep(cache.folder)
        held = sum(file.stat().st_size for file in cache.folder.glob("*/*"))
        if held + size > cache.max_bytes:
            raise NoSpaceError(
                f"a slide of {size} bytes does not fit beside {held} into a cache of {cache.max_bytes}: "
                "wait, or raise MARROWLINE_CACHE_MAX_BYTES"
            )
        free = shutil.disk_usage(cache.folder).free
        if free < size * _HEADROOM + cache.reserve_bytes:
            raise NoSpaceError(
                f"a slide of {size} bytes does not fit into {free} bytes of free disk with a reserve of "
                f"{cache.reserve_bytes}: clear the disk, or set MARROWLINE_CACHE_DIR to another one"
            )
        path.parent.mkdir(mode=0o700)
        lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _allocate(path, size)
        except OSError:
            shutil.rmtree(path.parent, ignore_errors=True)
            os.close(lock)
            raise
        return lock


def _allocate(path: Path, size: int) -> None:
    """Make a file with its whole disk space, where the system can, so that the download cannot run out of it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if size and sys.platform == "linux":
            os.posix_fallocate(fd, 0, size)
        else:
            os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _sweep(cache_folder: Path) -> None:
    """Remove the folders whose owner died: its lock went with it."""
    for folder in cache_folder.iterdir():
        if folder.is_symlink() or not folder.is_dir():
            continue
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file against every other process on this machine."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _disk_trouble() -> Iterator[None]:
    """Turn a full or unusable disk into an error of this project."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpaceError("the cache's disk is full: clear it, or set MARROWLINE_CACHE_DIR") from error
        raise ServiceError(f"staging a slide on the disk failed: {error.strerror}") from error
