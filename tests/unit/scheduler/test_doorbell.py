from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.doorbell import patient_of, run_of


def _message(arguments: Any = (7,), *, task: str = "marrowline.read_slide", **changes: Any) -> bytes:
    body = base64.b64encode(json.dumps([arguments, {}, {"callbacks": None}]).encode()).decode()
    return json.dumps({"body": body, "headers": {"task": task, "lang": "py"}, "properties": {}} | changes).encode()


def test_a_message_names_its_run() -> None:
    assert run_of(_message()) == 7


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"garbage",
        b"\xff\x00",
        b"[]",
        b"null",
        b"[" * 50_000,
        _message(task="other.task"),
        _message(()),
        _message((7, 8)),
        _message(("7",)),
        _message((True,)),
        _message((-1,)),
        _message((2**63,)),
        _message((7.5,)),
        _message({"run_id": 7}),
        _message(body="not base64 !"),
        _message(body=base64.b64encode(b"\x80\x04K\x07.").decode()),
        _message(body=7),
        _message(headers=None),
    ],
)
def test_anything_else_on_the_queue_is_passed_over(message: bytes) -> None:
    assert run_of(message) is None


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(message: bytes) -> None:
    assert run_of(message) is None


def test_a_message_to_write_a_report_names_its_patient_and_no_run() -> None:
    message = _message(task="marrowline.write_page")
    assert (patient_of(message), run_of(message)) == (7, None)
    assert patient_of(_message()) is None
