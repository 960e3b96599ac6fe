"""Waiting for objects of a folder, with a real Postgres: it ends for each of them, whatever becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.progress import ObjectProgress
from scheduler import waiting
from scheduler.changes import Memory
from scheduler.config import SchedulerSettings
from scheduler.listing import reconcile
from scheduler.waiting import Standing, wait_for
from tests.support.rows import decide, read
from worker.store_folder import FolderStore

X, Y = "lab/patient/x.svs", "lab/patient/y.svs"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setattr(waiting, "_UNSEEN_S", 0.5)
    monkeypatch.setattr(waiting, "_POLL_S", 0.05)
    (tmp_path / "bucket").mkdir()
    store = FolderStore(tmp_path / "bucket")
    for key in (X, Y):
        store.put_bytes(key, b"slide")
    return store


class EnoughError(Exception):
    """The wait did not end by itself."""


def _wait(lab: Engine, store: FolderStore, change: str = "") -> list[ObjectProgress]:
    """Wait for X and Y, where something happens to X after it was put there and before the scheduler looks."""
    objects = [obj for key in (X, Y) if (obj := store.head(key)) is not None]
    if change == "replaced":
        store.put_bytes(X, b"another slide")
    elif change == "removed":
        store.delete(X)
    elif change == "refused":
        store.put_bytes(f"{X}.json", b'{"specimen": "urine"}')
    looks = 0

    def tell(now: Standing) -> None:
        nonlocal looks
        looks += 1
        if looks > 100:
            raise EnoughError(now)

    with _reading(lab, store):
        return wait_for(lab, objects, tell, store=store)


@contextmanager
def _reading(lab: Engine, store: FolderStore) -> Iterator[None]:
    """List and read in the background."""
    stop, memory = threading.Event(), Memory()

    def keep() -> None:
        while not stop.wait(0.05):
            for run_id in reconcile(store, lab, SchedulerSettings(), decide, memory=memory).new:
                read(lab, run_id)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("change", "code", "cause"),
    [
        ("replaced", "superseded", "another object"),
        ("removed", "missing", "gone from the bucket"),
        ("refused", "refused", "sidecar field specimen"),
    ],
)
def test_what_becomes_no_slide_ends_the_wait_with_the_reason(
    lab: Engine, store: FolderStore, change: str, code: str, cause: str
) -> None:
    gone, done = _wait(lab, store, change)
    assert (gone.ended, gone.error_code, done.state) == (True, code, "done")
    assert cause in (gone.error_cause or "")


@pytest.mark.parametrize(("change", "code"), [("replaced", "superseded"), ("removed", "missing")])
def test_what_stops_being_a_slide_ends_the_wait(lab: Engine, store: FolderStore, change: str, code: str) -> None:
    _, other = reconcile(store, lab, SchedulerSettings(), decide).new
    read(lab, other)
    assert _wait(lab, store, change)[0].error_code == code


def test_a_slow_scheduler_is_waited_for(lab: Engine, store: FolderStore) -> None:
    assert [one.state for one in _wait(lab, store)] == ["done", "done"]
