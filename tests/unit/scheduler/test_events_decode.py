from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.events.decode import decoded
from tests.support.events import bridge_event, filer_event, record, records, wrapped
from worker.errors import BadRequestError

ODD = "lab/p/a b+c%2Fü\n.svs"
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


def _only(document: dict[str, Any]) -> tuple[str, str]:
    [hint] = decoded(json.dumps(document)).hints
    return hint.bucket, hint.key


@given(KEYS)
def test_every_source_spells_keys_in_its_own_way(key: str) -> None:
    assert _only(records(record(quote_plus(key)))) == ("slides", key)
    assert _only(records(record(quote_plus(key), source="minio:s3"))) == ("slides", key)
    assert _only(records(record(key, source="ceph:s3"))) == ("slides", key)
    assert _only(records(record(key, source=""))) == ("slides", key)
    assert _only(bridge_event(key)) == ("slides", key)
    assert _only(filer_event(key)) == ("slides", key)
    assert _only(wrapped(records(record(quote_plus(key))))) == ("slides", key)


def test_a_hint_holds_what_the_event_says() -> None:
    [hint] = decoded(json.dumps(records(record("a.svs", versionId="v1", sequencer="0055AED6DCD90281E5")))).hints
    assert (hint.event, hint.version_id, hint.sequencer) == ("ObjectCreated:Put", "v1", "0055aed6dcd90281e5")


def test_every_delivery_of_an_event_has_the_same_name_and_every_event_another() -> None:
    first, again = record("a.svs", sequencer="1"), record("a.svs", sequencer="1")
    other = record("a.svs", sequencer="2")
    names = [hint.msg_id for hint in decoded(json.dumps(records(first, again, other))).hints]
    assert (names[0] == names[1], len(set(names))) == (True, 2)
    [alone] = decoded(json.dumps(wrapped(records(dict(reversed(first.items())))))).hints
    assert alone.msg_id == names[0]


def test_a_test_message_holds_nothing() -> None:
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "slides"}
    assert decoded(json.dumps(test)).hints == ()
    assert decoded(json.dumps(wrapped(test))).hints == ()
    assert decoded('{"Records": []}').hints == ()


def test_what_is_absent_or_nothing_a_row_could_hold_is_left_out() -> None:
    odd: list[dict[str, Any]] = [
        {"versionId": None, "sequencer": None},
        {"versionId": "a b", "sequencer": "xyz"},
        {"sequencer": "0" * 65},
    ]
    hints = decoded(json.dumps(records(*(record(f"{i}.svs", **fields) for i, fields in enumerate(odd))))).hints
    assert [(hint.version_id, hint.sequencer) for hint in hints] == [("", "")] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"", b"garbage", b"\xff\xfe", b"[]", b"1", b"{}", b'{"Records": 1}', b'{"Records": [1, {}, {"s3": null}]}',
        b"[" * 100_000, b'{"a":' * 100_000, b'{"Records": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"Type": "Notification"}', b'{"Type": "Notification", "Message": "garbage"}',
        b'{"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1/"}',
        b'{"detail-type": "Object Created"}', b'{"event_type": "create", "key": "/etc/passwd"}',
        b'{"event_type": "create", "key": "/buckets/slides"}',
        json.dumps(records(record("%ff.svs"))).encode(), json.dumps(records(record("\ud800"))).encode(),
        json.dumps(records(record("k" * 5000))).encode(),
    ],
)  # fmt: skip
def test_garbage_is_refused_without_a_word_of_it(body: bytes) -> None:
    with pytest.raises(BadRequestError) as refused:
        decoded(body)
    assert "passwd" not in str(refused.value)


def test_a_record_that_is_garbage_costs_no_other() -> None:
    found = decoded(json.dumps(records(record("a.svs"), {"s3": {}}, record("%ff"))))
    assert ([hint.key for hint in found.hints], found.garbage) == (["a.svs"], 2)


NAMES = ["Records", "s3", "bucket", "object", "key", "name", "Type", "Message", "detail-type", "detail", "event_type"]
SCALARS = st.none() | st.integers() | st.text(max_size=5)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), SCALARS | st.lists(st.dictionaries(st.sampled_from(NAMES), SCALARS))))
def test_no_document_is_too_odd(document: dict[str, Any]) -> None:
    try:
        decoded(json.dumps(document))
    except BadRequestError:
        return
