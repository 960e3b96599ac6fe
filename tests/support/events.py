"""Events of S3 servers as they are sent: by Amazon and those like it, through SNS and EventBridge, and by SeaweedFS."""

from __future__ import annotations

import json
from typing import Any

TIME = "2026-11-23T10:00:00.000Z"


def record(key: str, *, source: str = "aws:s3", event: str = "ObjectCreated:Put", **fields: Any) -> dict[str, Any]:
    """Return one record; the key is given as the source spells it, `fields` are further ones of the object."""
    bucket = fields.pop("bucket", "slides")
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "eventTime": TIME,
        "eventName": event,
        "responseElements": {"x-amz-request-id": "r1"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 5, "eTag": "e", **fields},
        },
    }


def records(*several: dict[str, Any]) -> dict[str, Any]:
    """Return the message that holds the records."""
    return {"Records": list(several)}


def wrapped(message: dict[str, Any]) -> dict[str, Any]:
    """Return what SNS makes of a message for a queue."""
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": json.dumps(message)}


def bridge_event(key: str, *, bucket: str = "slides", kind: str = "Object Created") -> dict[str, Any]:
    """Return an event of EventBridge."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "time": TIME,
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5, "version-id": "v", "sequencer": "0a"}},
    }


def filer_event(key: str, *, bucket: str = "slides", kind: str = "create") -> dict[str, Any]:
    """Return an event of SeaweedFS' filer."""
    return {"key": f"/buckets/{bucket}/{key}", "event_type": kind, "message": {"new_entry": {"name": "x"}}}
