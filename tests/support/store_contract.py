"""What every ObjectStore promises, as tests that run on each of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.errors import BadRequestError, ObjectChangedError
from worker.part_log import PART_BYTES, Parts
from worker.storage import ObjectStore

ODD_KEYS = (
    "lab/p1/a b+c&d=e?f#g.svs",
    "lab/p1/percent %2e%2e%2f.svs",
    "lab/p1/%2e%2e/x.svs",
    "lab/p1/new\nline.svs",
    "lab/p1/\u00e9.svs",  # composed
    "lab/p1/e\u0301.svs",  # decomposed: another key
    "lab/p1/😐 (1) ;rm -rf.svs",
    "lab/" + "/".join("k" * 149 for _ in range(5)) + "/" + "k" * 141 + ".svs",  # 900 bytes
)


class ObjectStoreContract:
    """Subclasses give a fixture `store`, empty and new for every test."""

    def test_what_was_put_is_listed_described_and_read(self, store: ObjectStore) -> None:
        store.put_bytes("lab/p1/x.svs", b"slide")
        [listed] = store.list()
        described = store.head("lab/p1/x.svs")
        assert (listed.bucket, listed.key, listed.size) == (store.name, "lab/p1/x.svs", 5)
        assert described is not None
        assert (described.key, described.etag, described.size) == (listed.key, listed.etag, 5)
        assert abs(listed.last_modified - datetime.now(UTC)) < timedelta(minutes=1)
        assert store.read_small("lab/p1/x.svs") == b"slide"

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_keys_are_kept_as_they_are(self, store: ObjectStore, key: str, tmp_path: Path) -> None:
        store.put_bytes(key, b"odd")
        [listed] = store.list()
        assert listed.key == key
        assert store.head(key) is not None
        assert store.fetch(listed, tmp_path / "local") == hashlib.sha256(b"odd").hexdigest()
        store.delete(key)
        assert list(store.list()) == []

    def test_canonically_equal_keys_are_two_objects(self, store: ObjectStore) -> None:
        store.put_bytes("lab/p1/\u00e9.svs", b"1")
        store.put_bytes("lab/p1/e\u0301.svs", b"22")
        assert sorted(obj.size for obj in store.list()) == [1, 2]

    def test_listing_is_narrowed_by_a_prefix_of_the_key(self, store: ObjectStore) -> None:
        for key in ("lab-a/p/x.svs", "lab-b/p/x.svs", "lab-b/q/x.svs"):
            store.put_bytes(key, b"")
        assert [obj.key for obj in store.list("lab-b/")] == ["lab-b/p/x.svs", "lab-b/q/x.svs"]
        assert [obj.key for obj in store.list("lab-b/q/x")] == ["lab-b/q/x.svs"]
        assert [obj.key for obj in store.list("lab-c")] == []

    def test_listing_is_in_byte_order(self, store: ObjectStore) -> None:
        keys = ["a/b.svs", "a.svs", "a-b/c.svs", "B.svs", "a/b/c.svs", "é.svs"]
        for key in keys:
            store.put_bytes(key, b"")
        assert [obj.key for obj in store.list()] == sorted(keys, key=str.encode)

    @pytest.mark.parametrize("most", [1, 2, 3, 100])
    def test_ranges_hold_every_key_once_in_order(self, store: ObjectStore, most: int) -> None:
        for key in (
            "a.svs",
            "lab-1/p/x.svs",
            "lab.mrxs",
            "lab/p/x.svs",
            "lab/p/y.svs",
            "lab0/x.svs",
            "z.svs",
            "é/x.svs",
        ):
            store.put_bytes(key, b"")
        ranges = store.ranges(most)
        listed = [obj.key for keys in ranges for obj in store.list_range(keys)]
        assert 1 <= len(ranges) <= most
        assert listed == [obj.key for obj in store.list()]

    def test_absent_objects_are_none(self, store: ObjectStore) -> None:
        assert store.head("lab/p1/none.svs") is None
        assert store.read_small("lab/p1/none.svs.json") is None
        store.delete("lab/p1/none.svs")

    def test_long_objects_are_not_read_as_small_ones(self, store: ObjectStore) -> None:
        store.put_bytes("x.svs.json", b"12345")
        assert store.read_small("x.svs.json", limit=5) == b"12345"
        with pytest.raises(BadRequestError, match="longer than the 4 bytes"):
            store.read_small("x.svs.json", limit=4)

    def test_an_empty_object_is_an_object(self, store: ObjectStore, tmp_path: Path) -> None:
        store.put_bytes("x.svs", b"")
        [obj] = store.list()
        assert store.read_small("x.svs") == b""
        assert store.fetch(obj, tmp_path / "local") == hashlib.sha256(b"").hexdigest()
        assert (tmp_path / "local").read_bytes() == b""

    def test_a_large_file_comes_back_whole_with_its_digest_and_progress(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        data = _noise(20 * 2**20 + 17)
        (tmp_path / "up").write_bytes(data)
        sent: list[int] = []
        got: list[int] = []
        store.put_file("lab/p/x.svs", tmp_path / "up", progress=sent.append)
        obj = store.head("lab/p/x.svs")
        assert obj is not None
        digest = store.fetch(obj, tmp_path / "down", progress=got.append)
        assert digest == hashlib.sha256(data).hexdigest()
        assert (tmp_path / "down").read_bytes() == data
        assert sum(sent) == sum(got) == len(data)

    def test_fetch_writes_over_a_longer_file(self, store: ObjectStore, tmp_path: Path) -> None:
        store.put_bytes("x.svs", b"short")
        [obj] = store.list()
        (tmp_path / "local").write_bytes(b"much longer than that")
        store.fetch(obj, tmp_path / "local")
        assert (tmp_path / "local").read_bytes() == b"short"

    def test_a_fetch_goes_on_with_the_parts_that_are_still_there(self, store: ObjectStore, tmp_path: Path) -> None:
        data = _noise(3 * PART_BYTES + 17)
        (tmp_path / "up").write_bytes(data)
        store.put_file("x.svs", tmp_path / "up")
        [obj] = store.list()
        parts = Parts(log=tmp_path / "parts", file_no=7)
        store.fetch(obj, tmp_path / "local", parts=parts)
        with (tmp_path / "local").open("r+b") as file:  # bytes that a crash took back
            file.seek(PART_BYTES + 5)
            file.write(b"\0" * 9)
        with (tmp_path / "parts").open("ab") as log:  # lines of another file, of nonsense, and a cut one
            log.write(b"8 1 " + b"0" * 64 + b"\nno line\n7 99999 " + b"0" * 64 + b"\n7 0 ab")
        moved: list[int] = []
        digest = store.fetch(obj, tmp_path / "local", parts=parts, progress=moved.append)
        assert digest == hashlib.sha256(data).hexdigest()
        assert (tmp_path / "local").read_bytes() == data
        assert sum(moved) == PART_BYTES

    def test_a_replaced_object_is_not_fetched_for_the_old_one(self, store: ObjectStore, tmp_path: Path) -> None:
        store.put_bytes("x.svs", b"old bytes")
        [old] = store.list()
        store.put_bytes("x.svs", b"new, longer bytes")
        with pytest.raises(ObjectChangedError):
            store.fetch(old, tmp_path / "local")
        assert store.head("x.svs") != old

    def test_a_deleted_object_is_not_fetched(self, store: ObjectStore, tmp_path: Path) -> None:
        store.put_bytes("x.svs", b"bytes")
        [old] = store.list()
        store.delete("x.svs")
        with pytest.raises(ObjectChangedError):
            store.fetch(old, tmp_path / "local")

    def test_a_key_that_cannot_be_is_refused(self, store: ObjectStore) -> None:
        with pytest.raises(BadRequestError):
            store.put_bytes("k" * 1100, b"")
        assert list(store.list()) == []


def _noise(size: int) -> bytes:
    return hashlib.shake_128(b"noise").digest(size)
