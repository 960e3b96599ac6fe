from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from db.records import StoredObject
from worker.errors import BadRequestError, NoSpaceError, ObjectChangedError, ServiceError
from worker.staging import CacheSpec, staged
from worker.store_folder import FolderStore

_BOUNDS = {"max_bytes": 10_000, "reserve_bytes": 0}
_HOLD = """
import sys, time
from pathlib import Path
from worker.staging import CacheSpec, staged
from worker.store_folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
cache = CacheSpec(folder=Path(sys.argv[2]), max_bytes=10_000, reserve_bytes=0)
with staged(store, store.head("x.svs"), cache, owner="1.1"):
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "bucket").mkdir()
    return FolderStore(tmp_path / "bucket")


@pytest.fixture
def cache(tmp_path: Path) -> CacheSpec:
    return CacheSpec(folder=tmp_path / "cache", **_BOUNDS)


@pytest.mark.parametrize(
    ("key", "extension"),
    [
        ("lab/p/x.SVS", r"\.svs"),
        ("lab/p/patient name.ndpi", r"\.ndpi"),
        ("lab/p/x.sh", ""),
        ("lab/p/x.svs;rm", ""),
        ("lab/p/none", ""),
    ],
)
def test_nothing_of_the_key_but_a_known_extension_is_in_the_local_name(
    store: FolderStore, cache: CacheSpec, key: str, extension: str
) -> None:
    with staged(store, _put(store, key), cache, owner="7.1") as file:
        local = str(file.path.relative_to(cache.folder))
        assert re.fullmatch(rf"7\.1/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{extension}", local)
        assert file.path.read_bytes() == b"slide"
        assert file.sha256 == hashlib.sha256(b"slide").hexdigest()
    assert _left(cache) == []


def test_nothing_is_left_after_an_error(store: FolderStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    with pytest.raises(KeyError), staged(store, obj, cache, owner="7.1"):
        raise KeyError
    store.delete("x.svs")
    with pytest.raises(ObjectChangedError), staged(store, obj, cache, owner="7.2"):
        raise AssertionError
    assert _left(cache) == []


def test_slides_share_the_bounds_of_the_cache(store: FolderStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs", b"6" * 6_000)
    with staged(store, obj, cache, owner="1.1"):
        with pytest.raises(NoSpaceError, match="MARROWLINE_CACHE_MAX_BYTES"), staged(store, obj, cache, owner="2.1"):
            raise AssertionError
        with staged(store, _put(store, "small.svs", b"4" * 4_000), cache, owner="3.1") as file:
            assert file.path.stat().st_size == 4_000
    with staged(store, obj, cache, owner="2.2"):
        assert [name.split("/")[0] for name in _left(cache)] == ["2.2"]


def test_the_reserve_of_the_disk_is_left_alone(store: FolderStore, tmp_path: Path) -> None:
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10_000, reserve_bytes=2**62)
    with (
        pytest.raises(NoSpaceError, match="MARROWLINE_CACHE_DIR"),
        staged(store, _put(store, "x.svs"), cache, owner="1"),
    ):
        raise AssertionError
    assert _left(cache) == []


def test_a_short_object_is_not_taken_for_the_slide(store: FolderStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    told_longer = StoredObject(
        bucket=obj.bucket, key=obj.key, etag=obj.etag, size=obj.size + 1, last_modified=obj.last_modified
    )
    with (
        pytest.raises(ServiceError, match="5 bytes came of an object of 6"),
        staged(store, told_longer, cache, owner="1"),
    ):
        raise AssertionError
    assert _left(cache) == []


@pytest.mark.parametrize("owner", ["", "..", ".lock", "a/b", "../x", "a" * 101])
def test_an_owner_is_a_plain_name(store: FolderStore, cache: CacheSpec, owner: str) -> None:
    with pytest.raises(BadRequestError), staged(store, _put(store, "x.svs"), cache, owner=owner):
        raise AssertionError


def test_an_unusable_cache_folder_is_the_services_fault(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = CacheSpec(folder=tmp_path / "file" / "cache", **_BOUNDS)
    with pytest.raises(ServiceError, match="Not a directory"), staged(store, _put(store, "x.svs"), cache, owner="1"):
        raise AssertionError


def test_what_a_killed_owner_left_is_removed_and_the_living_are_not(store: FolderStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs", b"6" * 6_000)
    killed = subprocess.Popen([sys.executable, "-c", _HOLD, store.name, cache.folder])
    _await(lambda: cache.folder.is_dir() and len(_left(cache)) == 1)
    with pytest.raises(NoSpaceError), staged(store, obj, cache, owner="2.1"):
        raise AssertionError
    killed.kill()
    killed.wait()
    assert len(_left(cache)) == 1
    with staged(store, obj, cache, owner="2.1"):
        assert [name.split("/")[0] for name in _left(cache)] == ["2.1"]


def _put(store: FolderStore, key: str, data: bytes = b"slide") -> StoredObject:
    store.put_bytes(key, data)
    obj = store.head(key)
    assert obj is not None
    return obj


def _left(cache: CacheSpec) -> list[str]:
    return [str(path.relative_to(cache.folder)) for path in cache.folder.glob("*/*")]


def _await(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
