"""Gathers the files of each multi-file slide while a listing passes by, in byte order of its keys.

What is kept meanwhile is bounded: folders that are open at a time lie in each other, each with at most so many files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from db.records import StoredObject
from scheduler.intake import SIDECAR, is_slide_key, sidecar_key, slide_of_sidecar
from worker.slide_sets import COMPLETE, MOST_FILES, SetKind, folder_of, manifest_digest, may_belong, set_kind
from worker.storage import RESULTS_PREFIX

_MOST_HELD = 10_000
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class ListedSet:
    """A slide of several files as a listing shows it."""

    key: str
    index: StoredObject | None  # a DICOM series has none
    others: tuple[StoredObject, ...]  # of VMS and VMU all that lies beside the index and may belong to it
    sidecar: StoredObject | None
    marker: StoredObject | None = None  # says that all of its files have come

    def fingerprint(self) -> str:
        """Return what changes with anything that can make an incomplete set complete: 64 hex digits."""
        one_by_one = (self.index, *self.others, self.sidecar, self.marker)
        return manifest_digest(self.key, [obj for obj in one_by_one if obj])

    def own_files(self, known: Collection[str]) -> tuple[StoredObject, ...]:
        """Return its files; of those beside a VMS only the ones that are known to be its own."""
        index = (self.index,) if self.index else ()
        if set_kind(self.key) is SetKind.HAMAMATSU:
            return (*index, *(obj for obj in self.others if obj.key in known))
        return (*index, *self.others)


Item: TypeAlias = StoredObject | ListedSet


@dataclass(kw_only=True)
class _Open:
    """A folder that files may still come from, with those that have come."""

    folder: str
    mrxs: StoredObject | None = None  # the index whose folder this is
    sidecar: StoredObject | None = None
    marker: StoredObject | None = None
    files: list[StoredObject] = field(default_factory=list)  # .dat of an MRXS, .dcm of a series
    hamamatsu: list[StoredObject] = field(default_factory=list)  # indexes
    beside: dict[str, StoredObject] = field(default_factory=dict)  # may belong to those, or stand for itself

    def is_over(self, key: str) -> bool:
        """Tell whether no later key lies in the folder."""
        return not key.startswith(self.folder) and _in_bytes(key) > _in_bytes(self.folder)

    def keep(self, obj: StoredObject) -> None:
        """Keep a file; of too many one more than may be, so that the slide is refused."""
        if len(self.files) <= MOST_FILES:
            self.files.append(obj)


def gathered(objects: Iterable[StoredObject], prefix: str = "") -> Iterator[Item]:
    """Yield every object that may be a slide or sidecar of its own, and every set once its last file has passed."""
    opened: list[_Open] = []
    for obj in objects:
        if obj.key.startswith(prefix + RESULTS_PREFIX):
            continue
        for one in [one for one in opened if one.is_over(obj.key)]:
            opened.remove(one)
            yield from _closed(one)
        if not _kept(opened, obj):
            yield obj
        elif sum(len(one.beside) for one in opened) > _MOST_HELD:  # no lab has that many beside a VMS
            for one in opened:
                yield from _alone(one)
                one.beside.clear()
    for one in reversed(opened):
        yield from _closed(one)


def paged(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items in pages; a sidecar stays on the page of its slide, whose key its own begins with."""
    page: list[Item] = []
    objects, last = 0, ""  # how many the page holds, and the key of the last that is no set
    for item in items:
        if objects >= _PAGE and (isinstance(item, ListedSet) or not last or not item.key.startswith(last)):
            yield page
            page, objects, last = [], 0, ""
        page.append(item)
        objects += 1 + len(item.others) if isinstance(item, ListedSet) else 1
        last = last if isinstance(item, ListedSet) else item.key
    if page:
        yield page


def _kept(opened: list[_Open], obj: StoredObject) -> bool:
    """Keep the object when it is, or may be, part of a set; tell whether it was."""
    of_mrxs = next((one for one in opened if one.mrxs and may_belong(SetKind.MRXS, one.folder, obj.key)), None)
    if of_mrxs:
        of_mrxs.keep(obj)
        return True
    kind = set_kind(obj.key)
    if kind is SetKind.MRXS:
        opened.append(_Open(folder=folder_of(obj.key), mrxs=obj))
        return True
    if obj.key.endswith(SIDECAR):
        return _kept_sidecar(opened, obj)
    folder = obj.key[: obj.key.rfind("/") + 1]
    if folder and obj.key == folder + COMPLETE:
        for one in (_folder(opened, folder), *(one for one in opened if one.mrxs and one.folder == folder)):
            one.marker = obj
    elif kind is SetKind.HAMAMATSU:
        _folder(opened, folder).hamamatsu.append(obj)
    elif folder and may_belong(SetKind.DICOM, folder, obj.key):
        _folder(opened, folder).keep(obj)
    elif may_belong(SetKind.HAMAMATSU, folder, obj.key):
        _folder(opened, folder).beside[obj.key] = obj
    else:
        return False
    return True


def _kept_sidecar(opened: list[_Open], obj: StoredObject) -> bool:
    """Keep a sidecar for the set that it describes; tell whether no slide of one file can want it."""
    described = slide_of_sidecar(obj.key)
    wanted = described is None
    for one in opened:
        if one.mrxs and one.mrxs.key == described:
            one.sidecar, wanted = obj, True
        elif described in one.beside or any(index.key == described for index in one.hamamatsu[-1:]):
            one.beside[obj.key], wanted = obj, True
    # It may describe the series in the folder of that name, too, if one comes.
    opened.append(_Open(folder=f"{obj.key.removesuffix(SIDECAR)}/", sidecar=obj))
    return wanted


def _folder(opened: list[_Open], folder: str) -> _Open:
    for one in opened:
        if one.folder == folder and not one.mrxs:
            return one
    opened.append(_Open(folder=folder))
    return opened[-1]


def _closed(one: _Open) -> Iterator[Item]:
    listed = partial(ListedSet, marker=one.marker)
    if one.mrxs:
        yield listed(key=one.mrxs.key, index=one.mrxs, others=tuple(one.files), sidecar=one.sidecar)
    elif one.files:
        yield listed(key=one.folder, index=None, others=tuple(one.files), sidecar=one.sidecar)
    if not one.hamamatsu:
        yield from _alone(one)
    others = tuple(obj for key, obj in one.beside.items() if not key.endswith(SIDECAR))
    for index in one.hamamatsu:
        yield listed(key=index.key, index=index, others=others, sidecar=one.beside.get(sidecar_key(index.key)))


def _alone(one: _Open) -> Iterator[StoredObject]:
    return (obj for key, obj in one.beside.items() if is_slide_key(key.removesuffix(SIDECAR)))


def _in_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
