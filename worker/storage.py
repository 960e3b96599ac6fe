"""Object storage as the rest of the code sees it: a bucket that may be a folder or any S3 endpoint.

A key is a name, never a path: it is stored and compared as it is, and no local file is ever called by it outside
the folder that is the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from db.records import StoredObject
from worker.config import StoreSettings
from worker.errors import BadRequestError, ObjectChangedError
from worker.key_range import KeyRange
from worker.part_log import Parts
from worker.store_folder import FolderStore

__all__ = ["RESULTS_PREFIX", "SMALL_BYTES", "ObjectChangedError", "ObjectStore", "Progress", "open_store"]

RESULTS_PREFIX = "marrowline-results/"
"""Below the store's prefix: where outputs are written back; intake never looks there."""
SMALL_BYTES = 65_536
"""The largest sidecar that is read."""

Progress = Callable[[int], None]
"""Called in the caller's thread with the number of bytes moved since the last call."""


class ObjectStore(Protocol):
    """A bucket. Every method raises ServiceError when the store does not answer as it should."""

    @property
    def name(self) -> str:
        """What is stored as the slide's bucket: the bucket's name; a folder's given name or its path."""

    @property
    def prefix(self) -> str:
        """Start of every key that belongs to this line: empty, or ending in `/`. Keys always include it."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose key starts with the store's prefix and `prefix`, without their version ids."""

    def ranges(self, most: int) -> Sequence[KeyRange]:
        """Return at most so many ranges of keys, in order, that together hold the store's keys.

        One where parts could not be listed quicker than the whole.
        """

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:
        """Yield the objects in one of those ranges, as `list` does."""

    def head(self, key: str, version_id: str = "") -> StoredObject | None:
        """Return one version as the store describes it, the latest by default; None when there is none."""

    def read_small(self, key: str, limit: int = SMALL_BYTES) -> bytes | None:
        """Return the whole object; None when absent. BadRequestError when it is longer than `limit`."""

    def fetch(
        self, obj: StoredObject, to: Path, *, progress: Progress | None = None, parts: Parts | None = None
    ) -> str:
        """Write exactly that version to the file `to` and return the SHA-256 of its bytes in hex.

        parts: what is known to have come already, of an earlier try with the same file; grows with this one.
        ObjectChangedError when the object is another version by now or gone, ServiceError when it is not of its
        size. What is in `to` after an error is not the object, but its parts that `parts` tells of.
        """

    def put_file(self, key: str, path: Path, *, progress: Progress | None = None) -> None:
        """Store the file whole or not at all; a repeated call goes on where the last was cut off, where it can.

        BadRequestError when the store cannot hold such a key.
        """

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store the bytes whole or not at all. BadRequestError when the store cannot hold such a key."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""


def open_store(settings: StoreSettings) -> ObjectStore:
    """Return the store that `MARROWLINE_BUCKET` names. BadRequestError when it names none."""
    if not settings.bucket:
        raise BadRequestError("MARROWLINE_BUCKET is not set: give a folder or s3://bucket/prefix")
    if "://" not in settings.bucket:
        return FolderStore(Path(settings.bucket), name=settings.bucket_name)
    url = urlsplit(settings.bucket)
    if url.scheme != "s3" or not url.netloc or url.query or url.fragment:
        raise BadRequestError(f"MARROWLINE_BUCKET is {settings.bucket!r}: give a folder or s3://bucket/prefix")
    from worker.s3_client import make_client  # noqa: PLC0415 - boto3 loads slowly, and folders need none of it
    from worker.store_s3 import S3Store  # noqa: PLC0415 - as above

    path = url.path.strip("/")
    return S3Store(make_client(settings), url.netloc, prefix=f"{path}/" if path else "")
