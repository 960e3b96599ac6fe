"""Who may push events: who signs time and body with the secret, or knows the token."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from scheduler.config import WebhookSettings
from worker.errors import BadRequestError

_SHORTEST = 24
_SCHEME = "sha256="
_WHOLE_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What is compared with what a sender gives; never shown."""

    secrets: tuple[bytes, ...]
    token: bytes
    window_s: float

    def __repr__(self) -> str:
        return f"Credentials({len(self.secrets)} secrets)"

    def is_in_time(self, timestamp: str, *, now_s: float) -> bool:
        """Tell whether the time that a sender gives, in whole seconds since 1970, is close enough to ours."""
        return _WHOLE_SECONDS.fullmatch(timestamp) is not None and abs(now_s - int(timestamp)) <= self.window_s

    def is_signed(self, timestamp: str, body: bytes, given: str) -> bool:
        """Tell whether the signature is that of time and body, in a time that does not tell how much of it is right."""
        ours = (signature(secret, timestamp, body).encode() for secret in self.secrets)
        return any(hmac.compare_digest(one, given.encode("utf-8", "replace")) for one in ours)

    def is_token(self, given: str) -> bool:
        """Tell whether this is the token; no text is one when none is set."""
        same = hmac.compare_digest(self.token, given.encode("utf-8", "replace"))
        return same and bool(self.token)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a request as its header gives it: HMAC-SHA256 of `<timestamp>.<body>`."""
    return _SCHEME + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def credentials_of(settings: WebhookSettings) -> Credentials:
    """Return the credentials in the settings. BadRequestError when there are none, or one could be guessed."""
    given = {
        "MARROWLINE_WEBHOOK_SECRET": settings.webhook_secret.get_secret_value(),
        "MARROWLINE_WEBHOOK_OLD_SECRET": settings.webhook_old_secret.get_secret_value(),
        "MARROWLINE_WEBHOOK_TOKEN": settings.webhook_token.get_secret_value(),
    }
    for name, value in given.items():
        if value and len(value) < _SHORTEST:
            raise BadRequestError(f"{name} has fewer than {_SHORTEST} characters: take one from `openssl rand -hex 24`")
    *secrets, token = (value.encode() for value in given.values())
    if not any((*secrets, token)):
        raise BadRequestError(
            "nobody could push events: set MARROWLINE_WEBHOOK_SECRET, or MARROWLINE_WEBHOOK_TOKEN for senders that "
            "cannot sign, for example from `openssl rand -hex 24`"
        )
    return Credentials(secrets=tuple(filter(None, secrets)), token=token, window_s=settings.webhook_window_s)
