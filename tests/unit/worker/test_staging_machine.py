"""Any order of staging, releasing, prefetching, replacing, failing and tampering keeps the cache's promises."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from db.records import StoredObject
from worker import file_copy, part_log
from worker.cache_entry import Wanted
from worker.errors import NoSpaceError, ObjectChangedError, ServiceError
from worker.part_log import Parts
from worker.staging import CacheSpec, StagedFile, prefetch, staged
from worker.store_folder import FolderStore

_MAX_BYTES = 100
_PART_BYTES = 16
_KEYS = st.sampled_from(["lab/p/a.svs", "lab/p/b.tif", "lab/p/c.png", "lab/p/d"])


class _CutStore(FolderStore):
    """A folder whose next download is cut after so many bytes."""

    cut_after: int | None = None

    def fetch(
        self,
        obj: StoredObject,
        to: Path,
        *,
        progress: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> str:
        left, self.cut_after = self.cut_after, None

        def count(size: int) -> None:
            nonlocal left
            if progress:
                progress(size)
            if left is not None:
                left -= size
                if left <= 0:
                    raise ServiceError("cut")

        return super().fetch(obj, to, progress=count, parts=parts)


class _Held:
    """An open context of `staged`."""

    def __init__(self, context: AbstractContextManager[StagedFile], obj: StoredObject, data: bytes) -> None:
        self.context = context
        self.file = context.__enter__()
        self.obj = obj
        self.data = data


class CacheMachine(RuleBasedStateMachine):
    """One host's cache, with what its workers hold and what the bucket has."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        (self.root / "bucket").mkdir()
        self.store = _CutStore(self.root / "bucket")
        self.cache = CacheSpec(folder=self.root / "cache", max_bytes=_MAX_BYTES, reserve_bytes=0)
        self.known: list[tuple[StoredObject, bytes]] = []
        self.held: list[_Held] = []
        self.serial = 0
        self.patches = [patch.object(module, "PART_BYTES", _PART_BYTES) for module in (file_copy, part_log)]
        for one in self.patches:
            one.start()

    def teardown(self) -> None:
        for held in self.held:
            held.context.__exit__(None, None, None)
        for one in self.patches:
            one.stop()
        shutil.rmtree(self.root)

    @rule(key=_KEYS, size=st.integers(0, 60))
    def put(self, key: str, size: int) -> None:
        """A lab puts a new version under the key; the old one is still known to some worker."""
        self.serial += 1
        data = hashlib.shake_128(str(self.serial).encode()).digest(size)
        self.store.put_bytes(key, data)
        obj = self.store.head(key)
        assert obj is not None
        self.known = [*self.known[-5:], (obj, data)]

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0), cut_after=st.none() | st.integers(1, 60))
    def stage(self, pick: int, cut_after: int | None) -> None:
        obj, data = self.known[pick % len(self.known)]
        self.store.cut_after = cut_after
        try:
            self.held.append(_Held(staged(self.store, obj, self.cache), obj, data))
        except NoSpaceError:
            in_use = {held.file.path: held.obj.size for held in self.held}
            assert sum(in_use.values()) + obj.size > _MAX_BYTES
        except ObjectChangedError:
            assert self.store.head(obj.key) != obj
        except ServiceError:
            assert cut_after is not None
        self.store.cut_after = None

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0))
    def release(self, pick: int) -> None:
        self.held.pop(pick % len(self.held)).context.__exit__(None, None, None)

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0))
    def fetch_ahead(self, pick: int) -> None:
        prefetch(self.store, self.known[pick % len(self.known)][0], self.cache)

    @precondition(lambda self: self.known)
    @rule(
        pick=st.integers(0),
        name=st.sampled_from(["plan.json", "whole.json", "parts", "used", "slide"]),
        keep=st.sampled_from([None, 0, 1, 2, 3, 4]),
    )
    def tamper(self, pick: int, name: str, keep: int | None) -> None:
        """A kill or a careless person left a file of an entry that nobody holds in another state."""
        obj = self.known[pick % len(self.known)][0]
        path = self.root / "cache" / "slides" / Wanted(obj=obj, files=()).digest / name
        if not path.exists() or any(held.file.path.is_relative_to(path.parent) for held in self.held):
            return
        if path.is_dir():
            path = next(path.iterdir(), path / "none")
        data = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        if keep is not None:
            path.write_bytes(bytes(255 - byte for byte in data[: len(data) * keep // 4]))

    @invariant()
    def never_over_its_bound(self) -> None:
        files = (self.root / "cache").glob("slides/*/slide/*")
        assert sum(path.stat().st_size for path in files) <= _MAX_BYTES

    @invariant()
    def what_is_held_is_whole_and_stays(self) -> None:
        for held in self.held:
            assert held.file.path.read_bytes() == held.data
            assert held.file.sha256 == hashlib.sha256(held.data).hexdigest()


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
