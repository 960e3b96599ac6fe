"""Slide files from a disk into a bucket, each with its sidecar first, so that no slide is seen without its facts."""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from db.records import Preparation, StoredObject
from scheduler.config import SchedulerSettings
from scheduler.intake import facts_of, is_slide_key, sidecar_key
from scheduler.set_intake import look_up
from scheduler.set_upload import member_files, named_as, slides_below
from worker.errors import BadRequestError, ServiceError
from worker.slide_sets import COMPLETE, SetKind, set_kind
from worker.staging import EXTENSIONS
from worker.storage import ObjectStore, Progress
from worker.store_folder import FolderStore

_READ = f"{', '.join(sorted(EXTENSIONS))}, .mrxs, .vms, .vmu and folders of .dcm"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the user says of the slides: it goes into the sidecar of each. None: nothing is said."""

    lab: str | None = None
    patient: str | None = None
    specimen: str | None = None
    stain: str | None = None
    is_smear: bool = False  # whatever it looks like
    mpp_um: float | None = None
    is_urgent: bool = False  # to be read before others

    def sidecar(self) -> bytes:
        """Return the sidecar; equal cases give equal bytes."""
        facts = {
            "lab": self.lab,
            "patient": self.patient,
            "specimen": self.specimen,
            "stain": self.stain,
            "preparation": Preparation.SMEAR if self.is_smear else None,
            "mpp": self.mpp_um,
            "urgent": self.is_urgent or None,
        }
        return json.dumps({name: value for name, value in facts.items() if value is not None}, indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A slide and the key it belongs under; `known` is the same content where the bucket has it already.

    `path` is its file, the index of its files, or the folder of its DICOM series.
    """

    path: Path
    key: str
    known: StoredObject | None = None
    files: tuple[tuple[Path, str], ...] = ()  # those of a slide of several, each with its key

    @property
    def parts(self) -> tuple[tuple[Path, str], ...]:
        """Every file with its key."""
        return self.files or ((self.path, self.key),)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path, _ in self.parts)


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
    return [(file, named_as(file, name)) for file, name in names.items()]


def placed_files(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return every slide file below the folders with its path there, which is to name lab and patient.

    Raises BadRequestError for anything but a folder with slides.
    """
    found = []
    for folder in paths:
        if folder.is_file():
            raise BadRequestError(f"whose is {folder}? give --patient, or a folder laid out as lab/patient/slide")
        below = ((file, file.relative_to(folder.absolute()).as_posix()) for file in _below(folder))
        found += [(file, named_as(file, name)) for file, name in below]
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
        return _planned_set(store, path, key)
    same = [obj for obj in there if _is(store, obj, key, path)]
    known = next((obj for obj in same if obj.key == key), same[0] if same else None)
    return Upload(path=path, key=known.key if known else key, known=known)


def _planned_set(store: ObjectStore, path: Path, key: str) -> Upload:
    files = member_files(path, key)
    found = look_up(store, key, quiet_s=0)
    there = {obj.key: obj for obj in found.files} if found else {}
    same = there.keys() == {name for _, name in files} and all(
        _is(store, there[name], name, local) for local, name in files
    )
    return Upload(path=path, key=key, known=found.obj if found and same else None, files=files)


def replaced(store: ObjectStore, uploads: Iterable[Upload]) -> list[str]:
    """Return the keys under which the bucket has another file already."""
    return [upload.key for upload in uploads if upload.known is None and any(_others(store, upload))]


def put(store: ObjectStore, upload: Upload, sidecar: bytes, *, progress: Progress | None = None) -> bool:
    """Store a slide after its sidecar, one of several files before it; tell whether anything had to be stored.

    Of a known slide only a changed sidecar is stored: the scheduler takes over what it says.
    """
    beside = sidecar_key(upload.key)
    if upload.known is not None and store.read_small(beside) == sidecar:
        return False
    if upload.known is None and upload.files:
        _put_files(store, upload, sidecar, progress)
    store.put_bytes(beside, sidecar)
    if upload.known is None and not upload.files:
        store.put_file(upload.key, upload.path, progress=progress)
    return True


def _put_files(store: ObjectStore, upload: Upload, sidecar: bytes, progress: Progress | None) -> None:
    """Store the files that the bucket has not; until the caller puts the sidecar, it says that they are on their way.

    Others may stand there: a slide that is half the old one and half the new would else be read meanwhile.
    """
    store.put_bytes(sidecar_key(upload.key), json.dumps({**json.loads(sidecar), "uploading": True}, indent=1).encode())
    for path, key in upload.files:
        there = store.head(key)
        if there is None or not _is(store, there, key, path):
            store.put_file(key, path, progress=progress)
    if set_kind(upload.key) is SetKind.DICOM:  # nothing else says that all have come
        store.put_bytes(upload.key + COMPLETE, b"")


def stored(store: ObjectStore, upload: Upload) -> StoredObject:
    """Return the object as it is stored now, changed when it or its sidecar was changed last.

    A slide of several files is told as one object, whose ETag is its manifest. Raises ServiceError when somebody
    has removed it meanwhile.
    """
    beside = store.head(sidecar_key(upload.key))
    found = look_up(store, upload.key, quiet_s=0) if upload.files else None
    slide = found.obj if found else store.head(upload.key)
    if slide is None or beside is None:
        raise ServiceError(f"{upload.key} is gone from the bucket again")
    return replace(slide, last_modified=max(slide.last_modified, beside.last_modified))


def _others(store: ObjectStore, upload: Upload) -> Iterator[StoredObject]:
    """Yield what stands under the upload's keys and is not what it would put there."""
    for path, key in upload.parts:
        there = store.head(key)
        if there is not None and not (upload.files and _is(store, there, key, path)):
            yield there


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        if not is_slide_key(path.name):
            raise BadRequestError(f"{path} is no slide by its name: give a file ending in {_READ}")
        yield path
        return
    if not path.is_dir():
        raise BadRequestError(f"{path} is not there")
    found = slides_below(path)
    if not found:
        raise BadRequestError(f"no slides below {path}: files ending in {_READ} are read")
    yield from found


def _is(store: ObjectStore, obj: StoredObject, key: str, path: Path) -> bool:
    """Tell whether the object has the file's content."""
    return obj.size == path.stat().st_size and _same_content(store, obj, key, path)


def _same_content(store: ObjectStore, obj: StoredObject, key: str, path: Path) -> bool:
    """Compare bytes in a folder; elsewhere the ETag that the upload of the file has."""
    if isinstance(store, FolderStore):
        return filecmp.cmp(Path(store.root, *obj.key.split("/")), path, shallow=False)
    from worker.s3_upload import etag_of  # noqa: PLC0415 - boto3 loads slowly, and folders need none of it

    return obj.key == key and obj.etag.strip('"') == etag_of(path)


def _mark(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:8]
