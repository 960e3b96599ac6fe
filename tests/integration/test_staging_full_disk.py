"""A cache on a disk of 50 MB: what does not fit waits, and what is not in use makes way."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.records import StoredObject
from worker.errors import NoSpaceError
from worker.staging import CacheSpec, prefetch, staged
from worker.store_folder import FolderStore

_MB = 10**6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "disk").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(tmp_path / "disk")], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.fixture
def slides(tmp_path: Path) -> list[StoredObject]:
    (tmp_path / "bucket").mkdir()
    store = FolderStore(tmp_path / "bucket")
    for name in ("a", "b"):
        store.put_bytes(f"{name}.svs", name.encode() * 30 * _MB)
    return list(store.list())


def test_a_slide_waits_for_room_and_gets_it(small_disk: Path, slides: list[StoredObject], tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "bucket")
    cache = CacheSpec(folder=small_disk, max_bytes=10**12, reserve_bytes=0)
    with staged(store, slides[0], cache):
        with pytest.raises(NoSpaceError), staged(store, slides[1], cache):
            raise AssertionError
        assert not prefetch(store, slides[1], cache)
    with staged(store, slides[1], cache) as file:
        assert file.path.read_bytes() == b"b" * 30 * _MB


def test_a_disk_that_others_filled_is_not_filled_to_the_brim(
    small_disk: Path, slides: list[StoredObject], tmp_path: Path
) -> None:
    (small_disk / "other").write_bytes(bytes(25 * _MB))
    cache = CacheSpec(folder=small_disk, max_bytes=10**12, reserve_bytes=0)
    with pytest.raises(NoSpaceError, match="free disk"), staged(FolderStore(tmp_path / "bucket"), slides[0], cache):
        raise AssertionError
    assert not list(small_disk.glob("slides/*/slide/*"))
