"""From a request to the inbox: every check that stands between a network and a row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db import inbox
from db.errors import DatabaseError
from db.hints import Hint
from db.session import transact
from scheduler.events.credentials import Credentials
from scheduler.events.decode import decoded
from scheduler.events.rate import RateLimit
from scheduler.events.targets import relevant
from scheduler.registration import told
from worker.errors import BadRequestError
from worker.storage import ObjectStore

log = structlog.get_logger(__name__)

SOURCE = "webhook"
PATH = "/events"
TIMESTAMP, SIGNATURE = "X-Marrowline-Timestamp", "X-Marrowline-Signature"
MOST_WAITING = 100_000
_BEARER = "Bearer "
_PATIENCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request whose body has not been read yet."""

    address: str
    path: str
    header: Callable[[str], str]  # by its name in any case; empty when absent
    read: Callable[[int], bytes]  # at most so many bytes of the body


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered: a short JSON document."""

    status: HTTPStatus
    document: Mapping[str, object]

    @property
    def body(self) -> bytes:
        """The document as it is sent."""
        return json.dumps(self.document).encode()


class RefusedRequestError(BadRequestError):
    """A request that goes no further, and what it is answered."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Reception:
    """Takes the events of one bucket."""

    store: ObjectStore
    engine: Engine
    credentials: Credentials
    rate: RateLimit
    max_bytes: int

    def answer(self, request: Request) -> Reply:
        """Put the request's events into the inbox, or say why not; whatever is cheap to see is looked at first."""
        try:
            hints = self._hints(self._body(request))
            return Reply(status=HTTPStatus.OK, document={"events": len(hints), "new": self._note(hints)})
        except RefusedRequestError as refused:
            log.warning("a request was refused", status=refused.status.value, reason=refused.reason)
            return Reply(status=refused.status, document={"error": refused.reason})

    def _body(self, request: Request) -> bytes:
        """Return the body of a request that comes from whom it should; nothing of it is read in vain."""
        if not self.rate.allows(request.address):
            raise RefusedRequestError(HTTPStatus.TOO_MANY_REQUESTS, "too many requests: try again in a second")
        path, slash, token = request.path.partition("?")[0].removeprefix(PATH).partition("/")
        if not request.path.startswith(PATH) or path:
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, f"events are taken at {PATH}")
        size = self._size(request.header("Content-Length"))
        bearer = request.header("Authorization")
        if slash or bearer.startswith(_BEARER):
            if not self.credentials.is_token(token if slash else bearer.removeprefix(_BEARER)):
                raise RefusedRequestError(HTTPStatus.UNAUTHORIZED, "the token is not ours")
            return _whole(request, size)
        return self._signed(request, size)

    def _signed(self, request: Request, size: int) -> bytes:
        timestamp = request.header(TIMESTAMP)
        if not self.credentials.is_in_time(timestamp, now_s=time.time()):
            raise RefusedRequestError(HTTPStatus.UNAUTHORIZED, f"{TIMESTAMP} is absent or not in time")
        body = _whole(request, size)
        if not self.credentials.is_signed(timestamp, body, request.header(SIGNATURE)):
            raise RefusedRequestError(HTTPStatus.UNAUTHORIZED, f"{SIGNATURE} is absent or wrong")
        return body

    def _size(self, length: str) -> int:
        if not (length.isascii() and length.isdigit()) or len(length) > 12:
            raise RefusedRequestError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is absent or no number")
        if int(length) > self.max_bytes:
            raise RefusedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {self.max_bytes} bytes")
        return int(length)

    def _hints(self, body: bytes) -> list[Hint]:
        """Return the hints that matter. One bucket is allowed: the one that is read."""
        try:
            found = decoded(body).hints
        except BadRequestError as error:
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if found and all(hint.bucket != self.store.name for hint in found):
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "the events are of another bucket")
        return relevant(found, self.store)

    def _note(self, hints: list[Hint]) -> int:
        try:
            if transact(self.engine, lambda conn: inbox.is_full(conn, MOST_WAITING), patience_s=_PATIENCE_S):
                raise RefusedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, "too many events wait: try again later")
            return transact(self.engine, lambda conn: inbox.note(conn, SOURCE, hints), patience_s=_PATIENCE_S)
        except (DatabaseError, DBAPIError, PoolTimeoutError) as error:
            log.warning("events could not be noted", error=told(error))
            raise RefusedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, "the inbox is away: try again later") from error


def _whole(request: Request, size: int) -> bytes:
    body = request.read(size)
    if len(body) != size:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "the body is shorter than Content-Length says")
    return body
