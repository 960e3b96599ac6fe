from __future__ import annotations

import hashlib
import hmac

import pytest
from pydantic import SecretStr

from scheduler.config import WebhookSettings
from scheduler.events.credentials import Credentials, credentials_of, signature
from worker.errors import BadRequestError

NEW, OLD = b"n" * 32, b"o" * 32
BOTH = Credentials(secrets=(NEW, OLD), token=b"t" * 32, window_s=300)


def test_a_signature_is_made_as_documented() -> None:
    made = hmac.new(NEW, b"1700000000." + b"{}", hashlib.sha256).hexdigest()
    assert signature(NEW, "1700000000", b"{}") == f"sha256={made}"


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_what_is_signed_with_a_secret_is_known(secret: bytes) -> None:
    assert BOTH.is_signed("1700000000", b"{}", signature(secret, "1700000000", b"{}"))


@pytest.mark.parametrize(
    ("timestamp", "body", "given"),
    [
        ("1700000000", b"{}", ""),
        ("1700000000", b"{}", "sha256="),
        ("1700000000", b"{}", "\u00e9\udcff"),
        ("1700000000", b"{ }", signature(NEW, "1700000000", b"{}")),
        ("1700000001", b"{}", signature(NEW, "1700000000", b"{}")),
        ("1700000000", b"{}", signature(NEW, "1700000000", b"{}").upper()),
        ("1700000000", b"{}", signature(b"x" * 32, "1700000000", b"{}")),
        ("1700000000", b"{}", signature(b"", "1700000000", b"{}")),
    ],
)
def test_anything_else_is_no_signature(timestamp: str, body: bytes, given: str) -> None:
    assert not BOTH.is_signed(timestamp, body, given)
    assert not Credentials(secrets=(), token=b"t", window_s=300).is_signed(timestamp, body, given)


@pytest.mark.parametrize(
    ("timestamp", "known"),
    [
        ("1000", True), ("700", True), ("1300", True), ("699", False), ("1301", False), ("", False), ("-1000", False),
        ("1e3", False), (" 1000", False), ("1000.0", False), ("\u0661\u0660\u0660\u0660", False), ("9" * 400, False),
    ],
)  # fmt: skip
def test_a_time_is_in_whole_seconds_and_of_now(timestamp: str, known: bool) -> None:
    assert BOTH.is_in_time(timestamp, now_s=1000.0) is known


def test_only_a_token_that_is_set_can_be_given() -> None:
    assert [BOTH.is_token(given) for given in ("t" * 32, "t" * 31, "")] == [True, False, False]
    assert not Credentials(secrets=(NEW,), token=b"", window_s=300).is_token("")


@pytest.mark.parametrize("name", ["secret", "old_secret", "token"])
def test_what_could_be_guessed_is_refused_by_its_name_and_not_shown(name: str) -> None:
    settings = WebhookSettings.model_validate({f"webhook_{name}": SecretStr("guessable")})
    with pytest.raises(BadRequestError, match=f"MARROWLINE_WEBHOOK_{name.upper()} ") as refused:
        credentials_of(settings)
    assert "guessable" not in str(refused.value)


def test_without_any_credential_nothing_is_served() -> None:
    with pytest.raises(BadRequestError, match="nobody could push"):
        credentials_of(WebhookSettings())


def test_credentials_are_never_shown() -> None:
    settings = WebhookSettings(webhook_secret=SecretStr("canary" * 5), webhook_token=SecretStr("canary" * 6))
    assert "canary" not in f"{credentials_of(settings)!r} {settings!r}"
