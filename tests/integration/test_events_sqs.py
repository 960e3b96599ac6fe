"""moto's S3 and SQS and a real Postgres: from an upload through the queue to a slide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from scheduler.config import SchedulerSettings
from scheduler.events.inbox import Inbox
from scheduler.events.sources import default_sources
from scheduler.events.sqs import SqsQueue, open_queue
from scheduler.registration import Door
from tests.support.events import bridge_event, record, records, wrapped
from tests.support.rows import decide, execute, scalar
from tests.support.sqs import SqsServer
from worker.errors import ServiceError
from worker.storage import open_store

X = "lab/patient/a b+c%2Fü.svs"


class Line:
    """A bucket whose events go into a queue, and what empties both ends."""

    def __init__(self, server: SqsServer, engine: Engine) -> None:
        self.server = server
        self.engine = engine
        self.url = server.new_queue()
        self.bucket = server.new_bucket(self.url)
        store = open_store(server.settings(self.bucket))
        settings = SchedulerSettings(sqs_url=self.url)
        door = Door(store=store, engine=engine, settings=settings, decide=decide)
        self.door = door
        self.queue: SqsQueue = open_queue(door, server.settings(self.bucket), stopping=lambda: False)
        self.inbox = Inbox(door, announce=lambda: None, stopping=lambda: False)

    def put(self, key: str = X, body: bytes = b"slide") -> None:
        self.server.s3().put_object(Bucket=self.bucket, Key=key, Body=body)

    def send(self, *bodies: dict[str, Any] | str) -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.server.sqs().send_message(QueueUrl=self.url, MessageBody=text)

    def poll(self) -> int:
        self.queue.poll()
        return self.inbox.poll()

    def poll_inbox_first(self) -> None:
        self.inbox.poll()
        self.queue.poll()

    def left(self) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.server.sqs().get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def slides(self) -> list[str]:
        return scalar(self.engine, "SELECT coalesce(array_agg(key ORDER BY id), '{}') FROM slide")  # type: ignore[no-any-return]


@pytest.fixture
def line(sqs_server: SqsServer, lab: Engine, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr("scheduler.events.sqs.WAIT_S", 0)
    return Line(sqs_server, lab)


def test_an_upload_comes_through_the_queue_under_its_own_key(line: Line) -> None:
    line.put()  # the message before it is the test message of the bucket's settings
    assert line.poll() == 1
    assert (line.slides(), line.left()) == ([X], 0)
    assert line.poll() == 0


def test_every_shape_of_message_leads_to_its_slide(line: Line) -> None:
    keys = [f"lab/patient/{name}.svs" for name in ("direct", "sns", "bridge")]
    for key in keys:
        line.put(key)
    line.queue.poll()
    execute(line.engine, "DELETE FROM event_inbox")
    direct, sns = (records(record(key, bucket=line.bucket)) for key in keys[:2])
    line.send(direct, wrapped(sns), bridge_event(keys[2], bucket=line.bucket))
    assert line.poll() == 3
    assert sorted(line.slides()) == sorted(keys)


def test_garbage_and_foreign_events_go_out_of_the_queue_and_leave_no_row(line: Line) -> None:
    foreign = records(record("lab/patient/x.svs", bucket="foreign"))
    line.send("canary", "{}", "[" * 10_000, foreign, records(record("lab/patient/notes.txt", bucket=line.bucket)))
    with capture_logs() as logs:
        assert line.poll() == 0
    assert (line.left(), scalar(line.engine, "SELECT count(*) FROM event_inbox")) == (0, 0)
    assert sum(entry["event"] == "a message is no event" for entry in logs) == 3
    assert "canary" not in str(logs)


def test_a_message_stays_until_its_events_are_in_the_inbox(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.put()

    def broken(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("scheduler.events.sqs.inbox.note", broken)
    with pytest.raises(ZeroDivisionError):
        line.queue.poll()
    assert line.left() == 2  # the bucket's test message, and ours


def test_while_the_inbox_is_full_messages_stay_in_the_queue(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.events.sqs.MOST_WAITING", 1)
    line.send(*(records(record(f"lab/patient/{name}.svs", bucket=line.bucket)) for name in "ab"))
    with pytest.raises(ServiceError, match="messages stay"):
        line.queue.poll()
    line.send(records(record("lab/patient/c.svs", bucket=line.bucket)))
    with pytest.raises(ServiceError, match="messages stay"):
        line.queue.poll()
    assert line.left() == 1
    line.poll_inbox_first()
    assert line.left() == 0


def test_a_queue_that_is_not_there_is_told_without_its_address(line: Line, sqs_server: SqsServer) -> None:
    door = Door(
        store=line.door.store,
        engine=line.engine,
        settings=SchedulerSettings(sqs_url=f"{line.url}-gone"),
        decide=decide,
    )
    gone = open_queue(door, sqs_server.settings(line.bucket), stopping=lambda: False)
    with pytest.raises(ServiceError, match="MARROWLINE_SQS_URL") as failed:
        gone.poll()
    assert "-gone" not in str(failed.value)


def test_a_stop_is_heeded_before_the_next_question(line: Line) -> None:
    line.put()
    stopped = open_queue(line.door, line.server.settings(line.bucket), stopping=lambda: True)
    assert (stopped.poll(), line.left()) == (0, 2)


def test_the_scheduler_asks_the_queue_that_its_settings_name(line: Line) -> None:
    sources = default_sources(line.door, announce=lambda: None, stopping=lambda: False)
    assert [source.name for source in sources] == ["listing", "inbox", "sqs"]
