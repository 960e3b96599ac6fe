"""How the names and times of files make the keys and times of a bucket that is a folder."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)


def parts_of(key: str) -> tuple[str, ...]:
    """Return the names that make up the key; none when some of them cannot be a visible file's."""
    parts = tuple(key.split("/"))
    try:
        usable = all(is_visible(part) and "\0" not in part and len(os.fsencode(part)) <= 255 for part in parts)
    except UnicodeEncodeError:
        return ()
    return parts if usable else ()


def is_visible(name: str) -> bool:
    """Tell whether a file or folder of this name belongs to the bucket: what is being written does not yet."""
    return bool(name) and not name.startswith(".") and not name.endswith(".part")


def byte_order(entry: os.DirEntry[str]) -> bytes:
    """Return by what an entry is sorted so that keys come in byte order."""
    return os.fsencode(entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name)


def moment(ns: int) -> datetime:
    """Return the time; a date beyond the calendar becomes its last day."""
    try:
        return min(_EPOCH + timedelta(microseconds=ns // 1000), _LAST_DAY)
    except OverflowError:
        return _LAST_DAY
