"""The slide that is likely next comes to this machine while another one is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import leases
from db.records import StoredObject
from db.session import transaction
from tests.support.rows import add, taken
from worker.part_log import Parts
from worker.prefetch import Prefetcher
from worker.staging import CacheSpec, staged
from worker.store_folder import FolderStore


class Counting(FolderStore):
    """A folder that notes which keys are fetched of it."""

    fetched: list[str]

    def fetch(
        self,
        obj: StoredObject,
        to: Path,
        *,
        progress: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> str:
        self.fetched.append(obj.key)
        return super().fetch(obj, to, progress=progress, parts=parts)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    (tmp_path / "bucket").mkdir()
    store = Counting(tmp_path / "bucket")
    store.fetched = []
    return store


def register(engine: Engine, store: Counting, key: str) -> int:
    store.put_bytes(key, key.encode() * 100)
    obj = store.head(key)
    assert obj is not None
    with transaction(engine) as conn:
        return add(conn, obj)


def test_the_next_due_slide_is_in_the_cache_before_it_is_asked_for(
    lab: Engine, store: Counting, tmp_path: Path
) -> None:
    first, second = register(lab, store, "a.svs"), register(lab, store, "b.svs")
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10**6, reserve_bytes=0)
    taken(lab, first)
    Prefetcher(lab, store, cache).start()
    ends_at = time.monotonic() + 20
    while "b.svs" not in store.fetched and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert store.fetched == ["b.svs"], "fetched while nobody had asked for it"
    claim = taken(lab, second)
    with staged(store, claim.obj, cache) as file:
        assert file.path.read_bytes() == b"b.svs" * 100
    assert store.fetched == ["b.svs"]


def test_nothing_is_likely_next_once_all_is_claimed(lab: Engine, store: Counting) -> None:
    assert leases.likely_next(lab) is None
    run_id = register(lab, store, "a.svs")
    likely = leases.likely_next(lab)
    assert likely is not None
    assert (likely[0].key, likely[1]) == ("a.svs", ())
    taken(lab, run_id)
    assert leases.likely_next(lab) is None
