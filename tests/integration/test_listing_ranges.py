"""A bucket that is compared range by range: nothing is lost between two of them, and memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from db.records import StoredObject
from scheduler.changes import Memory
from scheduler.comparison import ListingReport
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from tests.support.rows import decide, execute, scalar
from worker.errors import ServiceError
from worker.key_range import KeyRange, ranges_between
from worker.storage import ObjectStore
from worker.store_folder import FolderStore

MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)
MOST_BYTES = 64 * 2**20


class Parted(FolderStore):
    """A store of labs a to d, each of which can be away."""

    away = ""

    def ranges(self, most: int) -> Sequence[KeyRange]:
        return ranges_between(["b", "c", "d"], most)

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:
        for obj in self.list():
            if obj.key > keys.after and not keys.is_behind(obj.key):
                if self.away and obj.key.startswith(self.away):
                    raise ServiceError("away")
                yield obj


class Many(FolderStore):
    """A store of very many objects that lie nowhere; it notes how much memory is in use while it is listed."""

    labs, of_each = 50, 20_000
    most_bytes = 0

    def ranges(self, most: int) -> Sequence[KeyRange]:
        return ranges_between([f"lab{lab:02}" for lab in range(self.labs)], most)

    def list_range(self, keys: KeyRange) -> Iterator[StoredObject]:
        for lab in range(self.labs):
            if f"lab{lab:02}/" > keys.after and not keys.is_behind(f"lab{lab:02}/"):
                yield from self._of(lab)

    def _of(self, lab: int) -> Iterator[StoredObject]:
        for number in range(self.of_each):
            if number % 500 == 0:
                self.most_bytes = max(self.most_bytes, psutil.Process().memory_info().rss)
            key = f"lab{lab:02}/p/{number:06}.svs"
            yield StoredObject(bucket=self.name, key=key, etag="e", size=1, last_modified=MODIFIED)


@pytest.fixture
def store(tmp_path: Path) -> Parted:
    store = Parted(tmp_path, name="slides")
    for lab in "abcd":
        store.put_bytes(f"{lab}/p/x.svs", b"slide")
    return store


def _look(store: ObjectStore, engine: Engine, memory: Memory) -> ListingReport:
    return reconcile(store, engine, SchedulerSettings(), decide, memory=memory)


def test_slides_of_every_range_are_registered_once_and_missed_where_they_were(store: Parted, lab: Engine) -> None:
    memory = Memory()
    first = _look(store, lab, memory)
    assert (first.listed, len(first.new)) == (4, 4)
    store.delete("c/p/x.svs")
    found = [_look(store, lab, memory) for _ in range(4)]
    assert [report.new for report in found] == [()] * 4
    assert sum(len(report.missing) for report in found) == 1
    assert scalar(lab, "SELECT key FROM slide WHERE state = 'missing'") == "c/p/x.svs"


def test_a_lab_that_cannot_be_listed_stops_no_other(store: Parted, lab: Engine) -> None:
    memory = Memory()
    store.away = "b"
    for _ in range(2):
        with pytest.raises(ServiceError):
            _look(store, lab, memory)
    assert scalar(lab, "SELECT string_agg(left(key, 1), '' ORDER BY key) FROM slide") == "acd"
    store.away = ""
    _look(store, lab, memory)
    assert scalar(lab, "SELECT count(*) FROM slide") == 4


def _filled(engine: Engine, store: Many) -> None:
    execute(engine, "INSERT INTO lab (code, rule, default_specimen) VALUES ('lab', 'r', 'marrow')")
    execute(engine, "INSERT INTO patient (lab_id, pseudonym) VALUES (1, 'p')")
    for lab in range(store.labs):
        execute(  # as a replica it heeds no triggers, which would take minutes
            engine,
            "SET LOCAL session_replication_role = replica;"
            " INSERT INTO slide (patient_id, bucket, key, etag, size_bytes, last_modified, state, specimen)"
            f" SELECT 1, 'slides', 'lab{lab:02}/p/' || to_char(number, 'FM000000') || '.svs', 'e', 1,"
            " '2026-01-01T00:00:00Z', 'current', 'marrow'"
            f" FROM generate_series(0, {store.of_each - 1}) AS number",
        )


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("of_each", [100, pytest.param(20_000, marks=pytest.mark.heavy)])
def test_very_many_keys_take_little_memory(lab: Engine, tmp_path: Path, of_each: int) -> None:
    store = Many(tmp_path, name="slides")
    store.of_each = of_each
    _filled(lab, store)
    before = psutil.Process().memory_info().rss
    report = _look(store, lab, Memory())
    assert (report.listed, report.new, report.missing) == (store.labs * of_each, (), ())
    grown = store.most_bytes - before
    print(f"{report.listed} keys: {grown / 2**20:.1f} MiB more")  # noqa: T201 - the figure of docs/events.md
    assert grown < MOST_BYTES
