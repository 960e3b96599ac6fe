"""The shapes that events of S3 servers come in, as far as anything of them is used.

All of them may hold more; what does not fit is garbage.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_LONGEST = 4096
_Text = Annotated[str, Field(max_length=_LONGEST)]
_Optional = Annotated[_Text, BeforeValidator(lambda value: "" if value is None else value)]
"""A text that may be absent or null: then it is empty."""


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Bucket(_Shape):
    name: _Text


class _Object(_Shape):
    key: _Text
    version_id: _Optional = Field("", alias="versionId")
    sequencer: _Optional = ""


class _S3(_Shape):
    bucket: _Bucket
    object: _Object


class Record(_Shape):
    """One of the `Records` of a notification by Amazon's S3, Ceph's gateway and others."""

    source: _Optional = Field("", alias="eventSource")
    event: _Text = Field(alias="eventName")
    s3: _S3


class _BridgeObject(_Shape):
    key: _Text
    version_id: _Optional = Field("", alias="version-id")
    sequencer: _Optional = ""


class _BridgeDetail(_Shape):
    bucket: _Bucket
    object: _BridgeObject


class BridgeEvent(_Shape):
    """An event of Amazon's EventBridge."""

    event: _Text = Field(alias="detail-type")
    detail: _BridgeDetail


class FilerEvent(_Shape):
    """An event of SeaweedFS' filer; below `/buckets/` its keys are bucket and object key."""

    key: _Text
    event: _Text = Field(alias="event_type")


class SnsMessage(_Shape):
    """What Amazon's SNS wraps around a message for a queue."""

    kind: _Text = Field(alias="Type")
    message: str = Field(alias="Message")


Document = dict[str, Any]
