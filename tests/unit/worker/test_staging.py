from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from db.records import StoredObject
from worker.errors import BadSlideError, NoSpaceError, ObjectChangedError, ServiceError
from worker.part_log import PART_BYTES, Parts
from worker.staging import CacheSpec, StagedFile, prefetch, staged
from worker.store_folder import FolderStore

_BOUNDS = {"max_bytes": 10_000, "reserve_bytes": 0}
_CHILD = """
import os, sys, time
from pathlib import Path
from worker.staging import CacheSpec, staged
from worker.store_folder import FolderStore

def moved(size):
    global left
    left -= size
    if left <= 0:
        Path(sys.argv[3]).touch()
        time.sleep(60)

store = FolderStore(Path(sys.argv[1]))
left = int(sys.argv[4])
cache = CacheSpec(folder=Path(sys.argv[2]), max_bytes=10**9, reserve_bytes=0)
with staged(store, store.head("x.svs"), cache, progress=moved):
    Path(sys.argv[3]).touch()
    time.sleep(60)
"""


class CountingStore(FolderStore):
    """A folder that counts what is fetched of it, and fails or waits when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched_bytes = 0
        self.fails_after_bytes: int | None = None
        self.pause_s = 0.0
        self.fetching = threading.Event()

    def fetch(
        self,
        obj: StoredObject,
        to: Path,
        *,
        progress: Callable[[int], None] | None = None,
        parts: Parts | None = None,
    ) -> str:
        def count(size: int) -> None:
            self.fetched_bytes += size
            if progress:
                progress(size)
            if self.fails_after_bytes is not None and self.fetched_bytes >= self.fails_after_bytes:
                raise ServiceError("cut off")

        self.fetching.set()
        time.sleep(self.pause_s)
        return super().fetch(obj, to, progress=count, parts=parts)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    (tmp_path / "bucket").mkdir()
    return CountingStore(tmp_path / "bucket")


@pytest.fixture
def cache(tmp_path: Path) -> CacheSpec:
    return CacheSpec(folder=tmp_path / "cache", **_BOUNDS)


@pytest.fixture
def wide(cache: CacheSpec) -> CacheSpec:
    """A cache for slides of more than one part."""
    return replace(cache, max_bytes=10**9)


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
    store: CountingStore, cache: CacheSpec, key: str, extension: str
) -> None:
    with staged(store, _put(store, key), cache) as file:
        local = str(file.path.relative_to(cache.folder))
        assert re.fullmatch(
            rf"slides/[0-9a-f]{{40}}/slide/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{extension}", local
        )
        assert file.path.read_bytes() == b"slide"
        assert (file.sha256, file.size) == (hashlib.sha256(b"slide").hexdigest(), 5)


def test_only_the_slides_own_folder_is_open_to_other_users(store: CountingStore, cache: CacheSpec) -> None:
    before = os.umask(0o077)
    try:
        with staged(store, _put(store, "x.svs"), cache) as file:
            assert [_mode(path) for path in (file.path, file.path.parent)] == [0o644, 0o755]
            assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]
            assert _mode(cache.folder / "slides") == _mode(file.path.parent.parent) == 0o700
    finally:
        os.umask(before)


def test_a_slide_that_was_read_is_there_for_the_next(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    for _ in range(3):
        with staged(store, obj, cache) as file:
            assert file.sha256 == hashlib.sha256(b"slide").hexdigest()
    assert store.fetched_bytes == 5


def test_another_version_is_another_slide(store: CountingStore, cache: CacheSpec) -> None:
    for data in (b"first", b"other"):
        with staged(store, _put(store, "x.svs", data), cache) as file:
            assert file.path.read_bytes() == data


@pytest.mark.parametrize("how", ["longer", "same size", "gone"])
def test_a_copy_that_was_changed_on_the_disk_is_brought_again(store: CountingStore, cache: CacheSpec, how: str) -> None:
    obj = _put(store, "x.svs")
    with staged(store, obj, cache) as file:
        path = file.path
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"SLIDE" if how == "same size" else b"slide, and more")
    with staged(store, obj, cache) as file:
        assert file.path.read_bytes() == b"slide"


def test_after_a_restart_of_the_machine_bytes_count_only_when_they_are_the_same(
    store: CountingStore, cache: CacheSpec
) -> None:
    obj = _put(store, "x.svs")
    with staged(store, obj, cache) as file:
        noted = file.path.parent.parent / "whole.json"
        path, when = file.path, file.path.stat().st_mtime_ns
    for lost, fetched in ((False, 5), (True, 10)):
        noted.write_text(noted.read_text().replace('"boot": "', '"boot": "before '))
        if lost:
            path.write_bytes(bytes(5))
            os.utime(path, ns=(when, when))
        with staged(store, obj, cache) as file:
            assert file.path.read_bytes() == b"slide"
        assert store.fetched_bytes == fetched


def test_bytes_that_are_not_those_first_read_are_thrown_away(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    for _ in range(2):
        with pytest.raises(ServiceError, match="not those"), staged(store, obj, cache, sha256="0" * 64):
            raise AssertionError
    assert store.fetched_bytes == 10
    with staged(store, obj, cache, sha256=hashlib.sha256(b"slide").hexdigest()):
        assert store.fetched_bytes == 15


def test_a_gone_object_leaves_nothing(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    store.delete("x.svs")
    with pytest.raises(ObjectChangedError), staged(store, obj, cache):
        raise AssertionError
    assert _held(cache) == 0


def test_an_error_of_the_reader_passes_and_the_slide_stays(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    with pytest.raises(KeyError), staged(store, obj, cache):
        raise KeyError
    assert _held(cache) == 5


def test_slides_in_use_share_the_bounds_of_the_cache(store: CountingStore, cache: CacheSpec) -> None:
    big, other = _put(store, "x.svs", b"6" * 6_000), _put(store, "y.svs", b"7" * 6_000)
    with staged(store, big, cache):
        with pytest.raises(NoSpaceError, match="MARROWLINE_CACHE_MAX_BYTES"), staged(store, other, cache):
            raise AssertionError
        with staged(store, _put(store, "small.svs", b"4" * 4_000), cache) as file:
            assert file.path.stat().st_size == 4_000
    with staged(store, other, cache) as file:
        assert file.path.stat().st_size == 6_000


def test_what_was_read_longest_ago_makes_way_first(store: CountingStore, cache: CacheSpec) -> None:
    slides = [_put(store, f"{name}.svs", name.encode() * 3_000) for name in "abcd"]
    for number in (0, 1, 2, 0, 3):  # b is the one that nobody asked for since
        with staged(store, slides[number], cache):
            time.sleep(0.01)
    assert _held(cache) == 9_000
    store.fetched_bytes = 0
    for number in (0, 2, 3):
        with staged(store, slides[number], cache):
            assert store.fetched_bytes == 0


def test_on_a_full_disk_what_was_read_makes_way_and_else_the_slide_waits(
    store: CountingStore, cache: CacheSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(fd: int, offset: int, size: int) -> None:
        if _held(cache) + size > 6_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.truncate(fd, offset + size)

    old, new = _put(store, "old.svs", b"o" * 4_000), _put(store, "new.svs", b"n" * 4_000)
    with staged(store, old, cache):
        monkeypatch.setattr(os, "posix_fallocate", allocate)
        with pytest.raises(NoSpaceError, match="full"), staged(store, new, cache):
            raise AssertionError
        assert _held(cache) == 4_000
    with staged(store, new, cache) as file:
        assert file.path.read_bytes() == b"n" * 4_000
        assert _held(cache) == 4_000


def test_a_slide_that_can_never_fit_evicts_nothing(store: CountingStore, cache: CacheSpec) -> None:
    with staged(store, _put(store, "x.svs"), cache):
        pass
    with pytest.raises(NoSpaceError), staged(store, _put(store, "y.svs", bytes(10_001)), cache):
        raise AssertionError
    assert _held(cache) == 5


def test_the_reserve_of_the_disk_is_left_alone(store: CountingStore, tmp_path: Path) -> None:
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10_000, reserve_bytes=2**62)
    with pytest.raises(NoSpaceError, match="MARROWLINE_CACHE_DIR"), staged(store, _put(store, "x.svs"), cache):
        raise AssertionError
    assert _held(cache) == 0


def test_a_short_object_is_not_taken_for_the_slide(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    with (
        pytest.raises(ServiceError, match="5 bytes came of an object of 6"),
        staged(store, replace(obj, size=6), cache),
    ):
        raise AssertionError


def test_an_unusable_cache_folder_is_the_services_fault(store: CountingStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = CacheSpec(folder=tmp_path / "file" / "cache", **_BOUNDS)
    with pytest.raises(ServiceError, match="Not a directory"), staged(store, _put(store, "x.svs"), cache):
        raise AssertionError


def test_two_who_ask_at_once_share_one_download(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs", b"6" * 6_000)
    store.pause_s = 0.3
    together = threading.Barrier(2)

    def read(_: int) -> str:
        with staged(store, obj, cache) as file:
            together.wait(10)
            return file.sha256

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(read, range(2)))) == 1
    assert store.fetched_bytes == 6_000


def test_a_download_that_failed_goes_on_where_it_stopped(store: CountingStore, wide: CacheSpec) -> None:
    data = os.urandom(3 * PART_BYTES + 5)
    obj = _put(store, "x.svs", data)
    store.fails_after_bytes = 2 * PART_BYTES + 1
    with pytest.raises(ServiceError, match="cut off"), staged(store, obj, wide):
        raise AssertionError
    store.fails_after_bytes, store.fetched_bytes = None, 0
    with staged(store, obj, wide) as file:
        assert file.sha256 == hashlib.sha256(data).hexdigest() == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert store.fetched_bytes == PART_BYTES + 5


def test_a_killed_download_goes_on_where_it_stopped(store: CountingStore, wide: CacheSpec, tmp_path: Path) -> None:
    data = os.urandom(3 * PART_BYTES)
    obj = _put(store, "x.svs", data)
    with _killed_child(store, wide, tmp_path, at_bytes=PART_BYTES + 1):
        pass
    with staged(store, obj, wide) as file:
        assert file.path.read_bytes() == data
    assert store.fetched_bytes == 2 * PART_BYTES


def test_what_a_killed_reader_held_makes_way_and_not_before(
    store: CountingStore, cache: CacheSpec, tmp_path: Path
) -> None:
    _put(store, "x.svs", b"6" * 6_000)
    other = _put(store, "y.svs", b"7" * 6_000)
    with (
        _killed_child(store, cache, tmp_path, at_bytes=10**9),
        pytest.raises(NoSpaceError),
        staged(store, other, cache),
    ):
        raise AssertionError
    with staged(store, other, cache):
        assert _held(cache) == 6_000


@pytest.mark.parametrize("left", ["plan.json", "slide", "whole.json", "parts"])
def test_a_torn_entry_is_never_used(store: CountingStore, cache: CacheSpec, left: str) -> None:
    obj = _put(store, "x.svs")
    with staged(store, obj, cache) as file:
        entry = file.path.parent.parent
    for path in entry.iterdir():
        if path.name == left or (left == "slide" and path.name == "plan.json"):
            if path.is_dir():
                next(path.iterdir()).write_bytes(b"sl")
            else:
                path.write_bytes(path.read_bytes()[:-7])
    with staged(store, obj, cache) as file:
        assert file.path.read_bytes() == b"slide"


def test_an_eviction_that_was_killed_is_ended(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    with staged(store, obj, cache) as file:
        entry = file.path.parent.parent
    entry.rename(entry.with_name(".gone-" + "0" * 32))
    with staged(store, _put(store, "y.svs"), cache):
        assert len([path for path in (cache.folder / "slides").iterdir() if path.is_dir()]) == 1


def test_what_else_lies_in_the_folder_is_left_alone(store: CountingStore, cache: CacheSpec) -> None:
    (cache.folder / "mine").mkdir(parents=True)
    with staged(store, _put(store, "x.svs", bytes(10_000)), cache):
        pass
    with staged(store, _put(store, "y.svs", bytes(10_000)), cache):
        assert (cache.folder / "mine").is_dir()


def test_a_prefetched_slide_is_there(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    assert prefetch(store, obj, cache)
    assert prefetch(store, obj, cache)
    with staged(store, obj, cache):
        assert store.fetched_bytes == 5


def test_a_prefetch_evicts_what_was_read_and_never_what_is_in_use_or_still_wanted(
    store: CountingStore, cache: CacheSpec
) -> None:
    read, inuse, next_up, later = (_put(store, f"{name}.svs", name.encode() * 4_000) for name in "abcd")
    with staged(store, read, cache):
        pass
    with staged(store, inuse, cache):
        assert prefetch(store, next_up, cache)  # the one that was read makes way
        assert not prefetch(store, later, cache)
        assert _held(cache) == 8_000
    assert prefetch(store, later, cache)


def test_trouble_of_a_prefetch_is_not_the_callers(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "x.svs")
    store.delete("x.svs")
    assert not prefetch(store, obj, cache)
    assert not prefetch(store, _put(store, "y.svs"), replace(cache, max_bytes=1))
    (cache.folder / "file").write_bytes(b"")
    assert not prefetch(store, _put(store, "z.svs"), replace(cache, folder=cache.folder / "file" / "sub"))


def test_a_set_lies_in_one_folder_under_its_inner_names(store: CountingStore, cache: CacheSpec) -> None:
    files = _mrxs(store)
    with staged(store, files[0], cache, files=files) as file:
        folder = file.path.with_suffix("")
        assert re.fullmatch(r"[0-9a-f-]{36}\.mrxs", file.path.name)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            "Slidedat.ini": b"ini",
            "Data0000.dat": b"data",
        }
        assert (_mode(folder), _mode(folder / "Slidedat.ini")) == (0o755, 0o644)
        assert file.size == len("indexinidata")
        first = file.sha256
    with staged(store, files[0], cache, files=tuple(reversed(files))) as file:
        assert file.sha256 == first
    assert store.fetched_bytes == len("indexinidata")


def test_the_digest_of_a_set_tells_its_files_apart(store: CountingStore, cache: CacheSpec) -> None:
    digests = set()
    for name, data in (("Data0000.dat", b"data"), ("Data0001.dat", b"data"), ("Data0000.dat", b"atad")):
        files = _mrxs(store, name=name, data=data)
        with staged(store, files[0], cache, files=files) as file:
            digests.add(file.sha256)
    assert len(digests) == 3


def test_files_of_a_series_get_names_of_ours(store: CountingStore, cache: CacheSpec) -> None:
    files = [_put(store, f"lab/p/s/{name}.dcm", name.encode()) for name in ("b ö", "a", ";rm")]
    with staged(store, replace(files[0], key="lab/p/s/"), cache, files=files) as file:
        assert sorted(path.name for path in file.path.parent.iterdir()) == [f"0000{n}.dcm" for n in range(3)]
        assert file.path.name == "00000.dcm"


@pytest.mark.parametrize("name", ["Däta.dat", ".dat", "-x.dat", "a;b.dat", "x" * 130 + ".dat", "a\nb.dat"])
def test_a_file_with_another_name_than_a_plain_one_is_the_slides_fault(
    store: CountingStore, cache: CacheSpec, name: str
) -> None:
    files = _mrxs(store)
    odd = replace(files[2], key=f"lab/p/x/{name}")
    with pytest.raises(BadSlideError, match="bad_file_name"), staged(store, files[0], cache, files=(*files, odd)):
        raise AssertionError
    assert _held(cache) == 0


def test_a_set_without_its_index_is_the_slides_fault(store: CountingStore, cache: CacheSpec) -> None:
    files = _mrxs(store)
    with pytest.raises(BadSlideError, match="incomplete_set"), staged(store, files[0], cache, files=files[1:]):
        raise AssertionError


def test_all_files_of_a_set_count(store: CountingStore, cache: CacheSpec) -> None:
    files = _mrxs(store, data=bytes(9_995))
    with pytest.raises(NoSpaceError), staged(store, files[0], cache, files=files):
        raise AssertionError


def test_a_file_of_a_set_that_was_replaced_is_not_taken_for_it(store: CountingStore, cache: CacheSpec) -> None:
    files = _mrxs(store)
    _put(store, files[2].key, b"other data")
    with pytest.raises(ObjectChangedError), staged(store, files[0], cache, files=files):
        raise AssertionError


def test_more_slides_than_fit_go_through_the_cache_at_once(store: CountingStore, cache: CacheSpec) -> None:
    slides = [_put(store, f"{number}.svs", bytes([number]) * 2_500) for number in range(12)]

    def read(number: int) -> bool:
        for _ in range(200):
            try:
                with ExitStack() as stack:
                    file: StagedFile = stack.enter_context(staged(store, slides[number], cache))
                    assert _held(cache) <= cache.max_bytes
                    return file.path.read_bytes() == bytes([number]) * 2_500
            except NoSpaceError:
                time.sleep(0.01)
        return False

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, [*range(12), *range(12)]))


def _mrxs(store: CountingStore, *, name: str = "Data0000.dat", data: bytes = b"data") -> tuple[StoredObject, ...]:
    contents = (("lab/p/x.mrxs", b"index"), ("lab/p/x/Slidedat.ini", b"ini"), (f"lab/p/x/{name}", data))
    return tuple(_put(store, key, content) for key, content in contents)


@contextmanager
def _killed_child(store: FolderStore, cache: CacheSpec, tmp_path: Path, *, at_bytes: int) -> Iterator[None]:
    """Run a process that reads x.svs and stops after that many bytes; kill it at the end."""
    there = tmp_path / "there"
    command = [sys.executable, "-c", _CHILD, store.name, str(cache.folder), str(there), str(at_bytes)]
    child = subprocess.Popen(command)
    end = time.monotonic() + 20
    while not there.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def _put(store: FolderStore, key: str, data: bytes = b"slide") -> StoredObject:
    store.put_bytes(key, data)
    obj = store.head(key)
    assert obj is not None
    return obj


def _held(cache: CacheSpec) -> int:
    """Return the bytes of all slides in the cache; one that goes away meanwhile counts as gone."""
    total = 0
    for path in (cache.folder / "slides").glob("*/slide/*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_who_waits_for_anothers_download_can_be_called_off(store: CountingStore, cache: CacheSpec) -> None:
    obj = _put(store, "a.svs")
    store.pause_s = 2.0

    class CalledOffError(Exception):
        pass

    def call_off() -> None:
        raise CalledOffError

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(prefetch, store, obj, cache)
        assert store.fetching.wait(timeout=30)
        with pytest.raises(CalledOffError), staged(store, obj, cache, check=call_off):
            pass
        assert not first.done()
        assert first.result()
