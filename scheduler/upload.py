"""Slide files from a disk into a bucket, each with its sidecar first, so that no slide is seen without its facts."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from db.records import StoredObject
from scheduler.config import SchedulerSettings
from scheduler.intake import SIDECAR, facts_of, is_slide_key
from worker.errors import BadRequestError, ServiceError
from worker.slide_sets import set_kind
from worker.staging import EXTENSIONS
from worker.storage import ObjectStore, Progress
from worker.store_folder import FolderStore


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the user says of the slides: it goes into the sidecar of each. None: nothing is said."""

    lab: str | None = None
    patient: str | None = None
    specimen: str | None = None
    stain: str | None = None
    mpp_um: float | None = None

    def sidecar(self) -> bytes:
        """Return the sidecar; equal cases give equal bytes."""
        facts = {
            "lab": self.lab,
            "patient": self.patient,
            "specimen": self.specimen,
            "stain": self.stain,
            "mpp": self.mpp_um,
        }
        return json.dumps({name: value for name, value in facts.items() if value is not None}, indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file and the key it belongs under; `known` is the same content where the bucket has it already."""

    path: Path
    key: str
    known: StoredObject | None = None


def slide_files(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return every slide file named or below a named folder, once, with a name that no other of them has.

    Raises BadRequestError for a path that is not there, a named file that is no slide, and a folder without slides.
    """
    files = list(dict.fromkeys(file.absolute() for path in paths for file in _below(path)))
    often = Counter(file.name for file in files)
    names = {file: file.name if often[file.name] == 1 else f"{file.parent.name}_{file.name}" for file in files}
    again = Counter(names.values())
    for file, name in names.items():
        if again[name] > 1:
            names[file] = f"{_mark(str(file.parent).encode())}_{name}"
    return list(names.items())


def placed_files(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return every slide file below the folders with its path there, which is to name lab and patient.

    Raises BadRequestError for anything but a folder with slides.
    """
    found = []
    for folder in paths:
        if folder.is_file():
            raise BadRequestError(f"whose is {folder}? give --patient, or a folder laid out as lab/patient/slide")
        found += [(file, file.relative_to(folder).as_posix()) for file in _below(folder)]
    return found


def plan_uploads(store: ObjectStore, files: Iterable[tuple[Path, str]], case: Case) -> list[Upload]:
    """Return where each file of one patient belongs; content that the patient's slides have already keeps its key.

    Raises BadRequestError for names that intake would refuse; then nothing has been stored.
    """
    folder = f"{case.lab}/{case.patient}/"
    there = [obj for obj in store.list(folder) if is_slide_key(obj.key, store.prefix)]
    return [_planned(store, path, f"{store.prefix}{folder}{name}", there, case) for path, name in files]


def plan_placed(store: ObjectStore, files: Iterable[tuple[Path, str]], case: Case) -> list[Upload]:
    """Return the uploads of files whose names are their keys, below the store's prefix. Raises as plan_uploads."""
    planned = []
    for path, name in files:
        found = store.head(f"{store.prefix}{name}")
        planned.append(_planned(store, path, f"{store.prefix}{name}", [found] if found else [], case))
    return planned


def _planned(store: ObjectStore, path: Path, key: str, there: list[StoredObject], case: Case) -> Upload:
    facts_of(key, case.sidecar(), SchedulerSettings(), prefix=store.prefix)
    if set_kind(key) is not None:
        raise BadRequestError(
            f"{path} is a slide of several files: copy it with all of them into the bucket, below lab/patient/"
        )
    same = [obj for obj in there if obj.size == path.stat().st_size and _same_content(store, obj, key, path)]
    known = next((obj for obj in same if obj.key == key), same[0] if same else None)
    return Upload(path=path, key=known.key if known else key, known=known)


def replaced(store: ObjectStore, uploads: Iterable[Upload]) -> list[str]:
    """Return the keys under which the bucket has another file already."""
    return [upload.key for upload in uploads if upload.known is None and store.head(upload.key) is not None]


def put(store: ObjectStore, upload: Upload, sidecar: bytes, *, progress: Progress | None = None) -> bool:
    """Store a slide after its sidecar; tell whether anything had to be stored.

    Of a known slide only a changed sidecar is stored: the scheduler takes over what it says.
    """
    if upload.known is not None and store.read_small(upload.key + SIDECAR) == sidecar:
        return False
    store.put_bytes(upload.key + SIDECAR, sidecar)
    if upload.known is None:
        store.put_file(upload.key, upload.path, progress=progress)
    return True


def stored(store: ObjectStore, upload: Upload) -> StoredObject:
    """Return the object as it is stored now, changed when it or its sidecar was changed last.

    Raises ServiceError when somebody has removed it meanwhile.
    """
    slide, beside = store.head(upload.key), store.head(upload.key + SIDECAR)
    if slide is None or beside is None:
        raise ServiceError(f"{upload.key} is gone from the bucket again")
    return replace(slide, last_modified=max(slide.last_modified, beside.last_modified))


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        if not is_slide_key(path.name):
            raise BadRequestError(
                f"{path} is no slide by its name: give a file ending in {', '.join(sorted(EXTENSIONS))}"
            )
        yield path
        return
    if not path.is_dir():
        raise BadRequestError(f"{path} is not there")
    found = [
        Path(folder) / name
        for folder, _, names in os.walk(path)
        for name in names
        if not name.startswith(".") and is_slide_key(name)
    ]
    if not found:
        raise BadRequestError(f"no slides below {path}: files ending in {', '.join(sorted(EXTENSIONS))} are read")
    yield from sorted(found)


def _same_content(store: ObjectStore, obj: StoredObject, key: str, path: Path) -> bool:
    """Compare bytes in a folder; elsewhere the ETag that the upload of the file has."""
    if isinstance(store, FolderStore):
        return filecmp.cmp(Path(store.root, *obj.key.split("/")), path, shallow=False)
    from worker.s3_upload import etag_of  # noqa: PLC0415 - boto3 loads slowly, and folders need none of it

    return obj.key == key and obj.etag.strip('"') == etag_of(path)


def _mark(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:8]
