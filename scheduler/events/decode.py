"""From the body of a message to hints: every shape of event that is understood, and each source's spelling of keys.

Amazon's notifications, and those of servers that copy them, spell keys as in the query of an address (`a+b%2Bc` is
`a b+c`); Ceph, SeaweedFS and EventBridge give them as they are. Who decodes a plain key, or does not decode an encoded
one, gets a key that is not in the bucket: a look at it finds nothing, and the listing finds the slide.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from pydantic import BaseModel, ValidationError

from db.hints import Hint
from scheduler.events.shapes import BridgeEvent, Document, FilerEvent, Record, SnsMessage
from worker.errors import BadRequestError

Shape = TypeVar("Shape", bound=BaseModel)

_ENCODING = frozenset({"aws:s3", "minio:s3"})
_FILER_ROOT = "/buckets/"
_TEST = "s3:TestEvent"
_SEQUENCER = re.compile(r"[0-9a-f]{1,64}")
_VERSION = re.compile(r"[!-~]{1,1024}")


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a body holds; `garbage` counts the parts that are no events as anybody writes them."""

    hints: tuple[Hint, ...] = ()
    garbage: int = 0


def decoded(body: bytes | str) -> Decoded:
    """Return the hints of a message's body; a test message has none.

    Raises BadRequestError, without a word of the body, when it is no message of events.
    """
    document = _document(body)
    if document.get("Type") == "Notification":
        document = _document(_fitting(SnsMessage, document).message)
    if document.get("Event") == _TEST:
        return Decoded()
    if isinstance(document.get("Records"), list):
        return _all(document["Records"], _of_record)
    if "detail-type" in document:
        return _all([document], _of_bridge)
    if "event_type" in document:
        return _all([document], _of_filer)
    raise BadRequestError("the body is no S3 event: neither Records, nor EventBridge, nor SeaweedFS")


def _document(body: bytes | str) -> Document:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # an UnicodeDecodeError is a ValueError
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body is JSON, but no object")
    return document


def _all(records: list[Any], read: Callable[[Any], Hint]) -> Decoded:
    """Read each record; one that is garbage costs no other."""
    hints = []
    for record in records:
        try:
            hints.append(_checked(read(record), record))
        except (BadRequestError, RecursionError):
            continue
    if records and not hints:
        raise BadRequestError("the body has the form of S3 events, but none of its events can be understood")
    return Decoded(hints=tuple(hints), garbage=len(records) - len(hints))


def _of_record(document: Any) -> Hint:
    record = _fitting(Record, document)
    key = record.s3.object.key
    return Hint(
        msg_id="",
        bucket=record.s3.bucket.name,
        key=_decoded_key(key) if record.source in _ENCODING else key,
        event=record.event.removeprefix("s3:"),
        version_id=record.s3.object.version_id,
        sequencer=record.s3.object.sequencer,
    )


def _of_bridge(document: Any) -> Hint:
    event = _fitting(BridgeEvent, document)
    found = event.detail.object
    return Hint(
        msg_id="",
        bucket=event.detail.bucket.name,
        key=found.key,
        event=event.event,
        version_id=found.version_id,
        sequencer=found.sequencer,
    )


def _of_filer(document: Any) -> Hint:
    event = _fitting(FilerEvent, document)
    bucket, slash, key = event.key.removeprefix(_FILER_ROOT).partition("/")
    if not event.key.startswith(_FILER_ROOT) or not slash:
        raise BadRequestError("the event is not of an object in a bucket")
    return Hint(msg_id="", bucket=bucket, key=key, event=event.event)


def _checked(hint: Hint, document: Any) -> Hint:
    """Return the hint with the digest of its event as its name, and without what no row could hold."""
    spelt = json.dumps(document, sort_keys=True).encode()
    sequencer = hint.sequencer.lower()
    return replace(
        hint,
        msg_id=hashlib.sha256(spelt).hexdigest(),
        event="".join(sign for sign in hint.event[:100] if " " <= sign <= "~"),
        version_id=hint.version_id if _VERSION.fullmatch(hint.version_id) else "",
        sequencer=sequencer if _SEQUENCER.fullmatch(sequencer) else "",
    )


def _decoded_key(key: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequestError("the event's key is not valid UTF-8") from error


def _fitting(shape: type[Shape], document: Any) -> Shape:
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        raise BadRequestError("the event lacks what every event of its kind has") from error
