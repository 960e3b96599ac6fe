"""Rows 8 and 21-25: events that come twice, late, in disorder, not at all, or from somebody else."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from db.faultpoints import Action, Fault
from scheduler.events.credentials import signature
from scheduler.events.reception import PATH, SIGNATURE, TIMESTAMP
from tests.faults.rig import Rig, key_of
from tests.support.events import record, records

_SECRET = "made up for the fault matrix alone"
_RARELY_S = "3600"
_MORE_THAN_ALLOWED = 10 * 2**20
_HINTS = "SELECT count(*) FROM event_inbox"


def _listening(rig: Rig, *, lists: bool) -> int:
    """Have a webhook listen beside a line; return its port. lists: whether the bucket is listed more than once."""
    rig.line("worker")
    if not lists:
        rig.kill("scheduler")
        rig.start("scheduler", list_s=_RARELY_S)
        rig.until(lambda: rig.said("serving"), "the scheduler serves")
    rig.start("webhook", webhook_secret=_SECRET, webhook_port="0", webhook_per_s="1000")
    rig.until(lambda: rig.said("listening"), "the webhook listens")
    return int(rig.said("listening")[-1]["port"])


def _event(key: str, *, sequencer: str = "", bucket: str = "bucket", event: str = "ObjectCreated:Put") -> bytes:
    fields = {"sequencer": sequencer} if sequencer else {}
    return json.dumps(records(record(key, event=event, bucket=bucket, **fields))).encode()


def _pushed(port: int, body: bytes, **headers: str) -> int:
    """Push a body, signed as it should be where no headers are given; return the answer's status."""
    timestamp = str(int(time.time()))
    signed = {TIMESTAMP: timestamp, SIGNATURE: signature(_SECRET.encode(), timestamp, body)}
    return _posted(port, body, headers or signed)


def _posted(port: int, body: bytes, headers: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", PATH, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def killed_before_registration(rig: Rig) -> None:
    """Row 8."""
    port = _listening(rig, lists=True)
    rig.arm(Fault(name="killed", point="slide.registering", action=Action.EXIT))
    rig.kill("scheduler")
    key = rig.upload("struck")
    assert _pushed(port, _event(key)) == 200
    rig.start("scheduler")
    rig.until(lambda: rig.ended("scheduler") is not None, "the scheduler dies")
    assert rig.value("SELECT count(*) FROM slide") == 0
    assert rig.value(_HINTS) == 1
    rig.revive()
    rig.settled()
    rig.execute("UPDATE event_inbox SET due_at = now() WHERE handled_at IS NULL")
    rig.until(lambda: rig.value(f"{_HINTS} WHERE handled_at IS NULL") == 0, "the event is looked at again")


def repeated(rig: Rig) -> None:
    """Row 21."""
    port = _listening(rig, lists=False)
    event = _event(rig.upload("struck"), sequencer="01")
    assert {_pushed(port, event) for _ in range(50)} == {200}
    rig.settled()
    assert rig.value(_HINTS) == 1
    assert rig.value("SELECT count(*) FROM slide") == 1


def out_of_order(rig: Rig) -> None:
    """Row 22: what happened last was an upload, and its event comes first."""
    port = _listening(rig, lists=False)
    key = rig.upload("struck", "b")
    for sequencer, event in (("03", "ObjectCreated:Put"), ("02", "ObjectRemoved:Delete"), ("01", "ObjectCreated:Put")):
        assert _pushed(port, _event(key, sequencer=sequencer, event=event)) == 200
    rig.settled()
    rig.until(lambda: rig.value(f"{_HINTS} WHERE handled_at IS NULL") == 0, "every event is looked at")
    assert rig.rows("SELECT state FROM slide") == [{"state": "current"}]


def lost(rig: Rig) -> None:
    """Row 23."""
    port = _listening(rig, lists=True)
    rig.ground.postgres.stop()
    key = rig.upload("struck")
    answer = _pushed(port, _event(key))
    rig.ground.postgres.start()
    assert answer == 503, f"answered {answer} without its database"
    rig.settled()
    assert rig.value(_HINTS) == 0


def none_of_ours(rig: Rig) -> None:
    """Row 24."""
    port = _listening(rig, lists=False)
    assert _pushed(port, _event(key_of("absent"))) == 200
    assert _pushed(port, _event(key_of("struck"), bucket="another")) == 403
    assert _pushed(port, b"\xff\x00 no event at all") == 400
    assert _pushed(port, bytes(_MORE_THAN_ALLOWED)) == 413
    rig.until(lambda: rig.value(f"{_HINTS} WHERE handled_at IS NULL") == 0, "the event is looked at")
    assert rig.value(_HINTS) == 1
    assert rig.value("SELECT count(*) FROM slide") == 0


def forged(rig: Rig) -> None:
    """Row 25."""
    port = _listening(rig, lists=False)
    event = _event(rig.upload("unsigned", readable=False))
    now, old = str(int(time.time())), str(int(time.time()) - 3600)
    wrong = signature(b"another secret of the same length", now, event)
    right_but_old = signature(_SECRET.encode(), old, event)
    answers = [
        _posted(port, event, {}),
        _posted(port, event, {TIMESTAMP: now}),
        _posted(port, event, {TIMESTAMP: now, SIGNATURE: wrong}),
        _posted(port, event, {TIMESTAMP: old, SIGNATURE: right_but_old}),
    ]
    assert answers == [401] * 4, answers
    assert rig.value(_HINTS) == 0
