"""A folder as a bucket: keys are relative paths with `/`, written by renaming, read without following a way out."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from pathlib import Path

from db.records import StoredObject
from worker.errors import BadRequestError, ObjectChangedError, ServiceError
from worker.file_copy import copied
from worker.folder_names import byte_order, is_visible, moment, parts_of
from worker.key_range import KeyRange
from worker.part_log import Parts

_CHUNK_BYTES = 2**20


class FolderStore:
    """An ObjectStore in a folder that labs copy files into.

    Files being written are not seen when they are named `.anything` or `anything.part` and renamed at the end. A file
    copied in under its own name may be seen half-written; it then counts as replaced by the whole one, as its etag
    is its size and time of change. Symbolic links are served only where they lead to a file inside the folder.
    """

    prefix = ""

    def __init__(self, root: Path, *, name: str = "") -> None:
        self._root = root.expanduser().absolute()
        self.name = name or str(self._root)

    @property
    def root(self) -> Path:
        """The folder, wherever it is now."""
        return self._root

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all visible files in byte order of their keys; see ObjectStore.list."""
        if not self._root.is_dir():
            raise ServiceError(f"the bucket folder {self._root} is not there; create it or correct MARROWLINE_BUCKET")
        unreadable: list[str] = []
        yield from self._walk("", prefix, unreadable)
        if unreadable:
            raise ServiceError(f"{len(unreadable)} entries of the bucket folder {self._root} cannot be read")

    def ranges(self, most: int) -> Sequence[KeyRange]:  # noqa: ARG002 - a folder is walked as a whole
        """See ObjectStore.ranges."""
        return (KeyRange(),)

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:  # noqa: ARG002 - there is one range only
        """See ObjectStore.list_range."""
        return self.list()

    def head(self, key: str, version_id: str = "") -> StoredObject | None:  # noqa: ARG002 - folders keep one version
        """See ObjectStore.head."""
        fd = self._open(key)
        if fd is None:
            return None
        try:
            return self._described(key, os.fstat(fd))
        finally:
            os.close(fd)

    def read_small(self, key: str, limit: int = 65_536) -> bytes | None:
        """See ObjectStore.read_small."""
        fd = self._open(key)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise BadRequestError(f"longer than the {limit} bytes that are read of it")
        return data

    def fetch(
        self,
        obj: StoredObject,
        to: Path,
        *,
        progress: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> str:
        """See ObjectStore.fetch."""
        source = self._open(obj.key)
        if source is None:
            raise ObjectChangedError("the file is not in the bucket folder any more")
        target = os.open(to, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            whole, came = hashlib.sha256(), 0
            for chunk in copied(source, target, obj.size, parts=parts, progress=progress):
                self._check_unchanged(obj, source)
                whole.update(chunk)
                came += len(chunk)
            self._check_unchanged(obj, source)
            if came != obj.size:
                raise ServiceError(f"{came} bytes came of an object of {obj.size}")
            return whole.hexdigest()
        finally:
            os.close(target)
            os.close(source)

    def put_file(self, key: str, path: Path, *, progress: Callable[[int], None] | None = None) -> None:
        """See ObjectStore.put_file."""
        with path.open("rb") as source:
            self._put(key, iter(lambda: source.read(_CHUNK_BYTES), b""), progress)

    def put_bytes(self, key: str, data: bytes) -> None:
        """See ObjectStore.put_bytes."""
        self._put(key, iter([data]), None)

    def delete(self, key: str) -> None:
        """See ObjectStore.delete."""
        parts = parts_of(key)
        if not parts or self._resolved(parts) is None:
            return
        try:
            self._root.joinpath(*parts).unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            raise ServiceError(f"could not delete in the bucket folder: {error.strerror}") from error

    def _put(self, key: str, chunks: Iterator[bytes], progress: Callable[[int], None] | None) -> None:
        parts = parts_of(key)
        folder = self._resolved(parts[:-1]) if parts else None
        if folder is None:
            raise BadRequestError(f"{key!r} cannot be stored in a folder; use plain names separated by /")
        temporary = folder / f".{uuid.uuid4().hex}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    if progress:
                        progress(len(chunk))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / parts[-1])
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise BadRequestError(f"{key!r} cannot be stored: a file and a folder would share a name") from error
        except OSError as error:
            raise ServiceError(f"could not write to the bucket folder: {error.strerror}") from error
        finally:
            _remove(temporary)

    def _walk(self, at: str, prefix: str, unreadable: MutableSequence[str]) -> Iterator[StoredObject]:
        """Yield the files below the folder whose keys start with `at`; name folders and links that cannot be read."""
        try:
            with os.scandir(self._root / at) as entries:
                found = sorted((entry for entry in entries if is_visible(entry.name)), key=byte_order)
        except FileNotFoundError:  # removed while we walk
            return
        except OSError:
            unreadable.append(at)
            return
        for entry in found:
            key = at + entry.name
            if entry.is_dir(follow_symlinks=False):
                inner = f"{key}/"
                if inner.startswith(prefix) or prefix.startswith(inner):
                    yield from self._walk(inner, prefix, unreadable)
            elif key.startswith(prefix) and (facts := self._facts(entry, unreadable)):
                yield self._described(key, facts)

    def _facts(self, entry: os.DirEntry[str], unreadable: MutableSequence[str]) -> os.stat_result | None:
        """Return the size and time of a regular file, behind a link only inside the folder; else None."""
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self._root.resolve()):
                return None
            facts = entry.stat()
        except FileNotFoundError:  # removed while we walk, or a link to nothing
            return None
        except (OSError, RuntimeError):
            unreadable.append(entry.path)
            return None
        return facts if stat.S_ISREG(facts.st_mode) else None

    def _check_unchanged(self, obj: StoredObject, fd: int) -> None:
        if self._described(obj.key, os.fstat(fd)).etag != obj.etag:
            raise ObjectChangedError("the file was changed since it was registered")

    def _described(self, key: str, facts: os.stat_result) -> StoredObject:
        return StoredObject(
            bucket=self.name,
            key=key,
            etag=f"{facts.st_size}-{facts.st_mtime_ns}",
            size=facts.st_size,
            last_modified=moment(facts.st_mtime_ns),
        )

    def _open(self, key: str) -> int | None:
        """Return a descriptor of the regular file, or None where the key leads to none inside the folder.

        Every step is opened without following links, so a link put there in between leads nowhere.
        """
        parts = parts_of(key)
        real = self._resolved(parts) if parts else None
        if real is None:
            return None
        root = self._root.resolve()
        try:
            at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            for part in real.relative_to(root).parts:
                above = at
                try:
                    at = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
                finally:
                    os.close(above)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link put there just now, or a socket
                return None
            raise ServiceError(f"a file in the bucket folder cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(at).st_mode):
            os.close(at)
            return None
        return at

    def _resolved(self, parts: tuple[str, ...]) -> Path | None:
        """Return the real path, or None when links lead out of the folder or in a circle."""
        try:
            root, real = self._root.resolve(), self._root.joinpath(*parts).resolve()
        except (OSError, RuntimeError):
            return None
        return real if real.is_relative_to(root) else None


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # renamed into place, or never made
        return
