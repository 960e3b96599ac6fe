"""One entry of the slide cache on the disk: a folder with the files of one slide and what is known of them.

plan.json    the local names and sizes, written first
parts        which parts of the files have come
slide/       the files; this folder alone is shown to a reader, and other users may read it
whole.json   written last: sizes, times and SHA-256 of the files. Without it nothing is used.
used         its time tells when the slide was read last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from db.records import StoredObject
from worker import cache_files
from worker.part_log import Parts
from worker.slide_sets import Layout, laid_out, set_sha256

EXTENSIONS = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".czi", ".png", ".jpg", ".jpeg", ".bmp"}
)
"""Slides and fields that are one file each, in lower case."""
_PLAN, _WHOLE, _USED, _PARTS, _SLIDE = "plan.json", "whole.json", "used", "parts", "slide"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The slide that an entry is to hold: one object, or a set of them under one key."""

    obj: StoredObject
    files: tuple[StoredObject, ...]  # empty: the object itself

    @property
    def members(self) -> tuple[StoredObject, ...]:
        """The objects to fetch, in a fixed order."""
        return tuple(sorted(self.files, key=lambda file: file.key)) or (self.obj,)

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)

    @property
    def digest(self) -> str:
        """The entry's name: changes with every version of every member."""
        identities = [[one.bucket, one.key, one.version_id, one.etag, one.size] for one in (self.obj, *self.members)]
        if self.files:  # a set's own version is told by its members
            identities[0] = [self.obj.bucket, self.obj.key]
        return hashlib.sha256(json.dumps(identities).encode("utf-8", "surrogateescape")).hexdigest()[:40]

    def sha256(self, digests: Sequence[str]) -> str:
        """Return what the slide's bytes are known by, from the SHA-256 of each member."""
        return set_sha256(self.obj.key, self.members, digests) if self.files else digests[0]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A complete entry's slide."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class _File:
    name: str
    size: int
    mtime_ns: int = 0
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry's folder; who writes in it holds its lock."""

    folder: Path

    def make(self, wanted: Wanted) -> None:
        """Make the folder with files of the right size, so that the download cannot run out of disk."""
        base = str(uuid.uuid4())
        if wanted.files:
            layout = laid_out(wanted.obj.key, wanted.members, base)
        else:
            extension = PurePosixPath(wanted.obj.key).suffix.lower()
            name = base + (extension if extension in EXTENSIONS else "")
            layout = Layout(main=name, names=(name,))
        self.folder.mkdir(mode=0o700)
        files = [_File(name=name, size=obj.size) for name, obj in zip(layout.names, wanted.members, strict=True)]
        cache_files.write(self.folder / _PLAN, {"main": layout.main, "files": [asdict(file) for file in files]})
        cache_files.stamp(self.folder / _PLAN)
        cache_files.make_folder(self.folder / _SLIDE)
        for file in files:
            path = self.folder / _SLIDE / file.name
            if path.parent != self.folder / _SLIDE and not path.parent.is_dir():
                cache_files.make_folder(path.parent)
            cache_files.allocate(path, file.size)

    def usable(self, wanted: Wanted) -> bool:
        """Tell whether a download can go on here: the plan is readable, and every file is there at its size."""
        planned = self._planned()
        sizes = [member.size for member in wanted.members]
        return planned is not None and [file.size for file in planned[1]] == sizes and self._sized(planned[1])

    def targets(self) -> Iterator[tuple[Path, Parts]]:
        """Yield each file's path and what is known of its parts, in the members' order; the entry is usable."""
        planned = self._planned()
        for number, file in enumerate(planned[1] if planned else ()):
            yield self.folder / _SLIDE / file.name, Parts(log=self.folder / _PARTS, file_no=number)

    def complete(self, wanted: Wanted, digests: Sequence[str]) -> Whole:
        """Note that all files have come, with the SHA-256 of each, and return the slide."""
        planned = self._planned()
        assert planned is not None  # noqa: S101 - the caller holds the lock since it was usable
        files = [
            _File(name=file.name, size=file.size, mtime_ns=self._stat(file).st_mtime_ns, sha256=sha256)
            for file, sha256 in zip(planned[1], digests, strict=True)
        ]
        sha256 = wanted.sha256(digests)
        cache_files.write(
            self.folder / _WHOLE,
            {"boot": cache_files.boot(), "sha256": sha256, "files": [asdict(file) for file in files]},
        )
        return Whole(path=self.folder / _SLIDE / planned[0], sha256=sha256, size=wanted.size)

    def whole(self) -> Whole | None:
        """Return the slide when it has come whole and its files are as they were then; else None.

        After a restart of the machine it is None until the parts have been compared with their digests: a crash may
        have taken bytes back that were counted as written.
        """
        planned, noted = self._planned(), cache_files.read(self.folder / _WHOLE)
        if planned is None or noted is None or noted.get("boot") != cache_files.boot():
            return None
        try:
            files = [_File(**file) for file in noted["files"]]
            unchanged = self._sized(files) and all(self._stat(file).st_mtime_ns == file.mtime_ns for file in files)
            size, sha256 = sum(file.size for file in files), str(noted["sha256"])
        except (KeyError, TypeError, OSError):
            return None
        return Whole(path=self.folder / _SLIDE / planned[0], sha256=sha256, size=size) if unchanged else None

    def touch(self) -> None:
        """Note that the slide is being read."""
        (self.folder / _USED).touch(mode=0o600)
        cache_files.stamp(self.folder / _USED)

    @property
    def was_read(self) -> bool:
        """Whether the slide was ever handed out."""
        return (self.folder / _USED).exists()

    @property
    def used_ns(self) -> int:
        """When the slide was read last, or its entry made."""
        for name in (_USED, _PLAN):
            try:
                return (self.folder / name).stat().st_mtime_ns
            except FileNotFoundError:
                continue
        return 0

    @property
    def size(self) -> int:
        """Bytes that the entry's files take."""
        return sum(path.lstat().st_size for path in (self.folder / _SLIDE).rglob("*") if not path.is_dir())

    def remove(self) -> None:
        """Take the folder out of sight at once, then away; a kill in between leaves a name that is swept."""
        gone = self.folder.with_name(f".gone-{uuid.uuid4().hex}")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _planned(self) -> tuple[str, list[_File]] | None:
        plan = cache_files.read(self.folder / _PLAN)
        try:
            return None if plan is None else (str(plan["main"]), [_File(**file) for file in plan["files"]])
        except (KeyError, TypeError):
            return None

    def _sized(self, files: Sequence[_File]) -> bool:
        try:
            return all(self._stat(file).st_size == file.size for file in files)
        except OSError:
            return False

    def _stat(self, file: _File) -> os.stat_result:
        return (self.folder / _SLIDE / file.name).lstat()
