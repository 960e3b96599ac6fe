"""Messages that somebody else puts on the queue."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from worker import queues


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def envelope(body: bytes, *, task: str = queues.READ_SLIDE, kind: str = "application/json") -> str:
    """Return a message as Celery's transport lays it on a list, around any body."""
    properties = {
        "delivery_tag": "t", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": queues.QUEUE},
    }  # fmt: skip
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(), "content-encoding": "binary", "content-type": kind,
            "headers": {"task": task, "id": "1", "lang": "py"}, "properties": properties,
        }
    )  # fmt: skip
