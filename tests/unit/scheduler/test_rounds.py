from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from db.records import StoredObject
from scheduler import rounds
from scheduler.rounds import Rounds
from worker.errors import ServiceError
from worker.key_range import KeyRange, ranges_between
from worker.store_folder import FolderStore


class Parted(FolderStore):
    """A store that can be listed in four ranges, some of which may be broken."""

    broken: tuple[str, ...] = ()
    listed = 0
    bounds = ("b", "c", "d")

    def ranges(self, most: int) -> Sequence[KeyRange]:
        return ranges_between(self.bounds, most)

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:
        if keys.last in self.broken:
            raise ServiceError("away")
        self.listed += 1
        return (obj for obj in self.list() if obj.key > keys.after and not keys.is_behind(obj.key))


@pytest.fixture
def store(tmp_path: Path) -> Parted:
    store = Parted(tmp_path)
    for name in "abcde":
        store.put_bytes(f"{name}/p/x.svs", b"")
    return store


def _go_round(went: Rounds, store: Parted) -> list[str]:
    seen = []
    for keys in went.due(store):
        seen += [obj.key[0] for obj in went.seen(keys, store)]
        went.finish(keys)
    return seen


def test_every_round_sees_every_range(store: Parted) -> None:
    went = Rounds()
    assert [_go_round(went, store) for _ in range(3)] == [list("abcde")] * 3


def test_a_round_that_broke_off_goes_on_where_it_was(store: Parted) -> None:
    went = Rounds()
    store.broken = ("c",)
    with pytest.raises(ServiceError):
        _go_round(went, store)
    assert store.listed == 1
    store.broken = ()
    assert _go_round(went, store) == ["c", "d", "e", "b"]
    assert _go_round(went, store) == list("abcde")


def test_a_bad_range_keeps_no_other_waiting(store: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "OBJECTS_A_RANGE", 1)
    went = Rounds()
    store.broken = ("c",)
    for _ in range(9):
        with pytest.raises(ServiceError):
            _go_round(went, store)
    assert store.listed >= 3 * 8


def test_a_small_bucket_is_listed_in_one_go(store: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    went = Rounds()
    _go_round(went, store)
    assert len(went.due(store)) == 1
    _go_round(went, store)
    monkeypatch.setattr(rounds, "OBJECTS_A_RANGE", 3)
    assert len(went.due(store)) == 2
