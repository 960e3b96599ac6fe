"""Slides of several files on a disk: found, looked over for missing files, and given their keys."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from db.records import StoredObject
from scheduler.intake import RefusedError, is_slide_key
from scheduler.set_intake import look_up
from scheduler.set_listing import ListedSet, gathered
from worker.errors import BadRequestError
from worker.slide_sets import SetKind, folder_of, set_kind, suffix_of
from worker.store_folder import FolderStore

_PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def slides_below(folder: Path) -> list[Path]:
    """Return the slides below a folder: their file, the index of their files, or the folder of their DICOM series.

    Pictures among the data of an MRXS are previews of it, and left out.
    """
    above = folder.absolute().parent
    objects = (
        StoredObject(bucket="", key=key, size=0, last_modified=_EPOCH) for key in sorted(_keys(folder), key=_bytes)
    )
    items = [item for item in gathered(objects) if isinstance(item, ListedSet) or is_slide_key(item.key)]
    of_mrxs = {folder_of(item.key) for item in items if set_kind(item.key) is SetKind.MRXS}
    return sorted(above / item.key for item in items if not _is_preview(item.key, of_mrxs))


def named_as(path: Path, name: str) -> str:
    """Return the name as the end of a slide's key: that of a series, which is a folder, ends in `/`."""
    return f"{name}/" if path.is_dir() else name


def member_files(path: Path, key: str) -> tuple[tuple[Path, str], ...]:
    """Return every file of a set with the key that it belongs under, the index last.

    Raises BadRequestError when a file that the index names is not there.
    """
    here = FolderStore(path.parent)
    own_key = named_as(path, path.name)
    try:
        found = look_up(here, own_key, quiet_s=0)
    except RefusedError as error:
        raise BadRequestError(f"{path}: {error.reason}") from error
    if found is None or not (found.complete or found.quiet_s is not None):
        raise BadRequestError(f"{path}: not all of its files are beside it; a slide of several files needs all of them")
    placed = [
        (
            here.root / file.key,
            key if file.key == own_key else folder_of(key) + file.key.removeprefix(folder_of(own_key)),
        )
        for file in found.files
    ]
    return tuple(sorted(placed, key=lambda one: one[1] == key))


def _is_preview(key: str, of_mrxs: Collection[str]) -> bool:
    return suffix_of(key) in _PICTURES and key[: key.rfind("/") + 1] in of_mrxs


def _keys(folder: Path) -> Iterator[str]:
    above = folder.absolute().parent
    for at, _, names in os.walk(folder.absolute()):
        yield from (Path(at, name).relative_to(above).as_posix() for name in names if not name.startswith("."))


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
