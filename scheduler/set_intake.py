"""Looks at a slide of several files in the bucket: which files it has, and whether all have arrived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from db.records import StoredObject
from db.slide_files import FoundSet
from scheduler.intake import RefusedError
from worker.errors import BadRequestError, BadSlideError
from worker.set_index import LIMIT_BYTES, named_files
from worker.slide_sets import (
    COMPLETE,
    MOST_FILES,
    SetKind,
    folder_of,
    index_key,
    manifest_digest,
    may_belong,
    set_kind,
)
from worker.storage import ObjectStore


def look_up(store: ObjectStore, key: str, *, quiet_s: float) -> FoundSet | None:
    """Return the files under a set's key; None when it has none, or its index is not there.

    It is complete when its folder holds a `_COMPLETE` object, or every file that its index names is there. A series,
    which has no index, and a slide whose index cannot be understood are complete when nothing changes for `quiet_s`.
    Raises RefusedError for too many files, ServiceError.
    """
    kind = set_kind(key)
    assert kind is not None  # noqa: S101 - the caller asks for sets only
    first = None if kind is SetKind.DICOM else store.head(key)
    if kind is not SetKind.DICOM and first is None:
        return None
    names = _named(store, key, kind)
    others = _named_beside(store, key, names) if kind is SetKind.HAMAMATSU else _below(store, key, kind)
    files = _pinned(store, ([first] if first else []) + others)
    if not files:
        return None
    there = {file.key.removeprefix(folder_of(key)) for file in files}
    marked = store.head(folder_of(key) + COMPLETE) is not None
    return FoundSet(
        obj=as_one(key, files),
        files=files,
        manifest=manifest_digest(key, files),
        complete=marked or (names is not None and names <= there),
        quiet_s=quiet_s if names is None else None,
    )


def as_one(key: str, files: Iterable[StoredObject]) -> StoredObject:
    """Return a set as if it were one object: its version is the manifest."""
    files = tuple(files)
    return StoredObject(
        bucket=files[0].bucket,
        key=key,
        etag=manifest_digest(key, files),
        size=sum(file.size for file in files),
        last_modified=max(file.last_modified for file in files),
    )


def is_there(store: ObjectStore, key: str) -> bool:
    """Tell whether the object, or a file of the series, of this key is in the bucket."""
    kind = set_kind(key)
    return bool(_below(store, key, kind, most=1)) if kind is SetKind.DICOM else store.head(key) is not None


def _named(store: ObjectStore, key: str, kind: SetKind) -> frozenset[str] | None:
    """Return the names of the files that the index asks for; None where none can be known."""
    index = index_key(key)
    if index is None:
        return None
    try:
        text = store.read_small(index, LIMIT_BYTES[kind])
        return frozenset({index.removeprefix(folder_of(key))}) if text is None else named_files(kind, text)
    except (BadRequestError, BadSlideError):  # it may be on its way still; if it stays so, a worker says what is wrong
        return None


def _named_beside(store: ObjectStore, key: str, names: frozenset[str] | None) -> list[StoredObject]:
    found = (store.head(folder_of(key) + name) for name in sorted(names or ()))
    return [obj for obj in found if obj is not None and obj.key != key]


def _below(store: ObjectStore, key: str, kind: SetKind, *, most: int = MOST_FILES) -> list[StoredObject]:
    """Return the files in a set's folder. Raises RefusedError when they are too many, with `most` left as it is."""
    folder = folder_of(key)
    listed = store.list(folder.removeprefix(store.prefix))
    files = list(islice((obj for obj in listed if may_belong(kind, folder, obj.key)), most + 1))
    if len(files) > MOST_FILES:
        raise RefusedError(key, f"it has more than {MOST_FILES} files: export it as one file, TIFF or SVS")
    return files


def _pinned(store: ObjectStore, files: list[StoredObject]) -> tuple[StoredObject, ...]:
    """Return the files with their version ids, which a listing does not tell, where the bucket keeps versions."""
    described = store.head(files[0].key) if files else None
    if described is None or not described.version_id:
        return tuple(files)
    heads = ((file, store.head(file.key)) for file in files)
    return tuple(
        replace(file, version_id=head.version_id) if head and head.etag == file.etag else file for file, head in heads
    )
