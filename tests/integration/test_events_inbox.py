"""A folder and a real Postgres: what becomes of hints, in whatever order, number and state they come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from db import inbox
from db.hints import Hint
from db.records import StoredObject
from db.session import transaction
from scheduler.config import SchedulerSettings
from scheduler.events.decode import decoded
from scheduler.events.inbox import Inbox
from scheduler.events.targets import relevant
from scheduler.registration import Door
from tests.support.events import record, records
from tests.support.rows import decide, execute, scalar
from worker.errors import ServiceError
from worker.store_folder import FolderStore

X = "lab/patient/x.svs"


class Wavering(FolderStore):
    """A bucket that counts the looks at its objects, and can be away for some or all of them."""

    heads = 0
    flawed: tuple[str, ...] = ()
    away = False

    def head(self, key: str, version_id: str = "") -> StoredObject | None:
        self.heads += 1
        if self.away or key in self.flawed:
            raise ServiceError("cannot say")
        return super().head(key, version_id)


class Line:
    """Events come in by one end, slides out of the other."""

    def __init__(self, store: Wavering, engine: Engine) -> None:
        self.store = store
        self.engine = engine
        self.rung = 0
        door = Door(store=store, engine=engine, settings=SchedulerSettings(), decide=decide)
        self.source = Inbox(door, announce=self._ring, stopping=lambda: False)

    def _ring(self) -> None:
        self.rung += 1

    def hear(self, *keys: str, times: int = 1, **fields: str) -> None:
        """Put events of the keys into the inbox."""
        events = [record(key, source="ceph:s3", **fields) for key in keys] * times
        hints = relevant(decoded(json.dumps(records(*events))).hints, self.store)
        with transaction(self.engine) as conn:
            inbox.note(conn, "webhook", hints)

    def slides(self) -> list[str]:
        return scalar(self.engine, "SELECT coalesce(array_agg(key || ' ' || state ORDER BY id), '{}') FROM slide")  # type: ignore[no-any-return]

    def outcomes(self) -> list[str]:
        return scalar(self.engine, "SELECT array_agg(coalesce(outcome, '-') ORDER BY id) FROM event_inbox")  # type: ignore[no-any-return]

    def wait_over(self) -> None:
        """Let the time pass after which hints that nobody settled come again."""
        execute(self.engine, "UPDATE event_inbox SET due_at = now() WHERE handled_at IS NULL")


@pytest.fixture
def line(tmp_path: Path, lab: Engine) -> Line:
    (tmp_path / "bucket").mkdir()
    return Line(Wavering(tmp_path / "bucket", name="slides"), lab)


def test_an_event_makes_a_slide_of_its_object(line: Line) -> None:
    line.store.put_bytes(X, b"slide")
    line.hear(X)
    assert line.source.poll() == 1
    assert (line.slides(), line.outcomes(), line.rung) == ([f"{X} current"], ["looked"], 1)
    assert line.source.poll() == 0


def test_an_event_delivered_fifty_times_is_one_slide_and_one_look(line: Line) -> None:
    line.store.put_bytes(X, b"slide")
    for _ in range(5):
        line.hear(X, times=10)
        line.source.poll()
    assert (line.slides(), line.store.heads) == ([f"{X} current"], 1)


def test_several_events_of_one_object_are_one_look(line: Line) -> None:
    line.store.put_bytes(X, b"slide")
    line.store.put_bytes(f"{X}.json", b'{"mpp": 0.5}')
    for event in ("ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload"):
        line.hear(X, f"{X}.json", event=event)
    assert line.source.poll() == 1
    assert line.store.heads == 2  # the object's and its sidecar's
    assert scalar(line.engine, "SELECT declared_mpp_um FROM slide") == 0.5


def test_whatever_the_order_of_events_the_bucket_decides(line: Line) -> None:
    line.store.put_bytes(X, b"second")
    line.hear(X, sequencer="0c")
    line.source.poll()
    line.hear(X, sequencer="0a")  # of the first put, which came late
    line.hear(X, event="ObjectRemoved:Delete", sequencer="0b")
    line.source.poll()
    assert (line.slides(), line.store.heads) == ([f"{X} current"], 1)
    assert line.outcomes() == ["looked", "overtaken", "overtaken"]
    line.store.put_bytes(X, b"the third")
    line.hear(X, sequencer="0d")
    assert line.source.poll() == 1
    assert line.slides() == [f"{X} superseded", f"{X} current"]


def test_an_event_of_an_object_that_is_not_there_registers_nothing(line: Line) -> None:
    line.hear(X, "lab/patient/gone.mrxs", "lab/patient/series/1.dcm")
    assert line.source.poll() == 0
    assert (line.slides(), line.outcomes()) == ([], ["looked"] * 3)


def test_an_object_that_cannot_become_a_slide_is_refused_and_told_without_its_key(line: Line) -> None:
    line.store.put_bytes("canary.svs", b"slide")
    line.hear("canary.svs")
    with capture_logs() as logs:
        line.source.poll()
    assert line.outcomes() == ["refused"]
    assert [entry["event"] for entry in logs] == ["refused"]
    assert "canary" not in str(logs)


def test_a_set_is_looked_at_by_its_index_whichever_file_came(line: Line) -> None:
    for name in ("x.mrxs", "x/Slidedat.ini", "x/Data0000.dat"):
        line.store.put_bytes(f"lab/patient/{name}", b"part")
    line.hear("lab/patient/x/Data0000.dat", "lab/patient/x/Slidedat.ini")
    line.source.poll()
    assert line.slides() == ["lab/patient/x.mrxs incomplete"]


def test_a_hint_that_was_in_hand_when_its_scheduler_died_comes_again(line: Line) -> None:
    line.store.put_bytes(X, b"slide")
    line.hear(X)
    with transaction(line.engine) as conn:
        assert len(inbox.take(conn, "slides", limit=1, hold_s=60)) == 1
    assert line.source.poll() == 0
    line.wait_over()
    assert line.source.poll() == 1


def test_an_object_that_the_bucket_does_not_give_is_tried_again_and_then_left_to_the_listing(line: Line) -> None:
    line.store.put_bytes(X, b"slide")
    line.store.put_bytes("lab/patient/y.svs", b"slide")
    line.store.flawed = (X,)
    line.hear(X, "lab/patient/y.svs")
    for _ in range(6):
        line.source.poll()
        line.wait_over()
    assert (line.slides(), sorted(line.outcomes())) == (["lab/patient/y.svs current"], ["failed", "looked"])


def test_a_bucket_that_is_away_loses_no_hint(line: Line, tmp_path: Path) -> None:
    keys = [f"lab/patient/{name}.svs" for name in "abcde"]
    for key in keys:
        line.store.put_bytes(key, b"slide")
    line.hear(*keys)
    line.store.away = True
    (tmp_path / "bucket").rename(tmp_path / "unmounted")
    with pytest.raises(ServiceError):
        line.source.poll()
    assert line.store.heads == 3  # then it asks whether the bucket itself is there
    (tmp_path / "unmounted").rename(tmp_path / "bucket")
    line.store.away = False
    line.wait_over()
    assert line.source.poll() == 5


def test_hints_of_another_bucket_are_left_alone(line: Line) -> None:
    with transaction(line.engine) as conn:
        inbox.note(conn, "sqs", [Hint(msg_id="m", bucket="other", key=X)])
    assert line.source.poll() == 0
    assert line.outcomes() == ["-"]


def test_more_hints_than_are_taken_at_once_are_all_taken(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.events.inbox._AT_ONCE", 2)
    keys = [f"lab/patient/{number}.svs" for number in range(5)]
    for key in keys:
        line.store.put_bytes(key, b"slide")
    line.hear(*keys)
    assert line.source.poll() == 5


def test_old_events_are_forgotten_once_an_hour(line: Line) -> None:
    line.hear(X)
    execute(line.engine, "UPDATE event_inbox SET received_at = now() - interval '31 days'")
    line.source.poll()
    assert scalar(line.engine, "SELECT count(*) FROM event_inbox") == 0
    line.hear(X)
    execute(line.engine, "UPDATE event_inbox SET received_at = now() - interval '31 days'")
    line.source.poll()
    assert scalar(line.engine, "SELECT count(*) FROM event_inbox") == 1
