"""Slides of several files: which formats there are, what belongs to one slide, and what its files are called here.

A set is known by one key: that of its index (`x.mrxs`, `x.vms`, `x.vmu`), or its folder with a `/` at the end for a
DICOM series. A key is never a path: a local name is made here, or matches a strict pattern.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.records import StoredObject
from worker.errors import BadSlideError

COMPLETE = "_COMPLETE"
"""An object of this name in a set's folder says that all of its files have arrived."""
MOST_FILES = 4096
"""The most files that one slide may have."""
SLIDEDAT = "Slidedat.ini"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_., ()-]{0,120}")


class SetKind(StrEnum):
    """How a format spreads a slide over files."""

    MRXS = "mrxs"  # x.mrxs and a folder x/
    HAMAMATSU = "hamamatsu"  # x.vms or x.vmu and the files beside it that it names
    DICOM = "dicom"  # all .dcm files of one folder


_KINDS = {".mrxs": SetKind.MRXS, ".vms": SetKind.HAMAMATSU, ".vmu": SetKind.HAMAMATSU}
_EXTENSIONS = {
    SetKind.MRXS: frozenset({".dat", ".ini"}),
    SetKind.HAMAMATSU: frozenset({".jpg", ".jpeg", ".opt", ".ngr"}),
    SetKind.DICOM: frozenset({".dcm"}),
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a set's files lie below their local folder, in the order of the objects; `main` is the one to open."""

    main: str
    names: tuple[str, ...]


def suffix_of(key: str) -> str:
    """Return the extension of a key's last name in lower case; a listing asks for very many."""
    name = key[key.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def set_kind(key: str) -> SetKind | None:
    """Return the kind of set that is known by the key, None for a slide of one file."""
    return SetKind.DICOM if key.endswith("/") else _KINDS.get(suffix_of(key))


def folder_of(key: str) -> str:
    """Return what the keys of a set's other files begin with, ending in `/` or empty."""
    kind = set_kind(key)
    if kind is SetKind.DICOM:
        return key
    if kind is SetKind.MRXS:
        return f"{key[: -len('.mrxs')]}/"
    return key[: key.rfind("/") + 1]


def may_belong(kind: SetKind, folder: str, key: str) -> bool:
    """Tell whether an object of this key can be one of a set's other files: directly in its folder, by extension."""
    name = key.removeprefix(folder)
    return key.startswith(folder) and "/" not in name and suffix_of(name) in _EXTENSIONS[kind]


def index_key(key: str) -> str | None:
    """Return the key of the file that names a set's files; None for a DICOM series, which has none."""
    kind = set_kind(key)
    if kind is SetKind.MRXS:
        return folder_of(key) + SLIDEDAT
    return key if kind is SetKind.HAMAMATSU else None


def is_plain_name(name: str) -> bool:
    """Tell whether a local file may be called so."""
    return _NAME.fullmatch(name) is not None


def manifest_digest(key: str, files: Iterable[StoredObject]) -> str:
    """Return what changes when a file of the set is added, replaced or removed: 64 hex digits.

    Version ids are left out: a listing does not tell them, and a replaced file has another ETag.
    """
    rows = sorted([_relative(key, file.key), file.etag, file.size] for file in files)
    return hashlib.sha256(json.dumps(rows).encode("utf-8", "surrogateescape")).hexdigest()


def set_sha256(key: str, files: Sequence[StoredObject], digests: Sequence[str]) -> str:
    """Return the SHA-256 over a set's sorted names and their files' SHA-256, in hex.

    Raises BadSlideError (`bad_file_name`).
    """
    _check_names(key, files)
    rows = sorted([_relative(key, file.key), digest] for file, digest in zip(files, digests, strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def laid_out(key: str, files: Sequence[StoredObject], base: str) -> Layout:
    """Return local names for the files of a set whose own name becomes `base`.

    Raises BadSlideError: `bad_file_name`, `too_many_files`, `incomplete_set`.
    """
    kind = set_kind(key)
    if len(files) > MOST_FILES:
        cause = f"it has {len(files)} files, {MOST_FILES} is the most"
        raise BadSlideError("too_many_files", cause, "Export it as one file: TIFF or SVS.")
    if kind is SetKind.DICOM:
        names = tuple(f"{number:05d}.dcm" for number, _ in enumerate(files))
        return Layout(main=_first(names), names=names)
    _check_names(key, files)
    main = f"{base}{suffix_of(key)}"
    inner = f"{base}/" if kind is SetKind.MRXS else ""
    names = tuple(main if file.key == key else inner + _relative(key, file.key) for file in files)
    return Layout(main=_first(tuple(name for name in names if name == main)), names=names)


def _first(names: tuple[str, ...]) -> str:
    if not names:
        raise BadSlideError("incomplete_set", "its index is not among its files", "Upload all of its files again.")
    return names[0]


def _check_names(key: str, files: Iterable[StoredObject]) -> None:
    if set_kind(key) is SetKind.DICOM:
        return
    if not all(file.key == key or is_plain_name(file.key.removeprefix(folder_of(key))) for file in files):
        raise BadSlideError(
            "bad_file_name",
            "a file beside its index has a name with other characters than letters, digits, space and _ . , - ( )",
            "Export the slide again under plain names, or as one TIFF or SVS.",
        )


def _relative(key: str, file_key: str) -> str:
    """Return a file's name inside its set; that of the index does not depend on the set's own name."""
    return f"*{suffix_of(key)}" if file_key == key else file_key.removeprefix(folder_of(key))
