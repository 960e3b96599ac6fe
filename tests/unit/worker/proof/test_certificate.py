from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ProofError
from worker.proof.certificate import TYPE, checked, signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1")
BODY = {"type": TYPE, "patient": "Ünal-7", "shares": {"lymphoblast": 0.25}, "slides": [{"sha256": "ab"}]}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(content=st.dictionaries(st.text(), values, max_size=4))
def test_whatever_was_signed_is_read_back_as_it_was(content: dict[str, Any]) -> None:
    body = {**content, "type": TYPE}
    assert checked(signed(body, KEY), KEY.public_key()) == body


@given(data=st.data())
def test_no_byte_that_means_anything_can_be_changed(data: st.DataObject) -> None:
    document = bytearray(signed(BODY, KEY))
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    with suppress(ProofError):
        assert checked(bytes(document), KEY.public_key()) == BODY  # spaces between the values mean nothing


def test_layout_means_nothing() -> None:
    compact = json.dumps(json.loads(signed(BODY, KEY)), separators=(",", ":"))
    assert checked(compact.encode(), KEY.public_key()) == BODY


def test_another_key_and_an_altered_content_are_told_apart() -> None:
    with pytest.raises(ProofError, match="names another key"):
        checked(signed(BODY, OTHER), KEY.public_key())
    with pytest.raises(ProofError, match="changed after it was signed"):
        checked(signed(BODY, KEY).replace(b"0.25", b"0.15"), KEY.public_key())
    forged = json.loads(signed(BODY, OTHER))
    forged["signature"]["public_key_sha256"] = json.loads(signed(BODY, KEY))["signature"]["public_key_sha256"]
    with pytest.raises(ProofError, match="changed after it was signed"):
        checked(json.dumps(forged).encode(), KEY.public_key())


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "not a certificate"),
        (b"\xff", "not a certificate"),
        (b"[]", "not a certificate"),
        (b'{"certificate": {"type": "other"}, "signature": {}}', "not a certificate"),
        (b'{"certificate": {"type": "%s"}, "signature": {"algorithm": "none"}}' % TYPE.encode(), "not signed by"),
        (b'{"certificate": {"a": 1, "a": 2}, "signature": {}}', "stands twice"),
        (b'{"certificate": {"a": NaN}, "signature": {}}', "NaN"),
    ],
)
def test_what_is_no_certificate_is_told_why(document: bytes, why: str) -> None:
    with pytest.raises(ProofError, match=why):
        checked(document, KEY.public_key())
