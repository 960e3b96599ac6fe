"""Tells workers that runs and reports are due. A ring may be lost or doubled: all that matters is in Postgres."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Protocol

import redis
import structlog
from celery import Celery
from kombu.exceptions import KombuError
from pydantic import Base64Bytes, BaseModel, Field, TypeAdapter, ValidationError

from worker import queues
from worker.errors import ServiceError

log = structlog.get_logger(__name__)

_Number = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
_Arguments = TypeAdapter(tuple[tuple[_Number], dict[str, Any], Any])
"""The body of a message: positional arguments, keywords, and Celery's own."""


class Doorbell(Protocol):
    """What the sweep rings."""

    def ring(self, run_ids: Collection[int], *, urgent: bool = False) -> int:
        """Send a message for each run; return how many were sent before trouble, which is only logged.

        Messages for urgent runs are taken before all others.
        """

    def waiting(self, limit: int) -> set[int]:
        """Return the runs of messages that no worker has taken yet, at most `limit` of either priority.

        Raises ServiceError.
        """

    def take_back(self, count: int) -> int:
        """Remove at most `count` messages that are not urgent, the newest first; return how many. Raises ServiceError.

        Their runs are due as before.
        """

    def ring_pages(self, patient_ids: Collection[int]) -> int:
        """Send messages, as `ring` does, for patients whose report is to be written; workers take them last."""

    def waiting_pages(self, limit: int) -> set[int]:
        """Return the patients of such messages that no worker has taken yet, at most `limit`. Raises ServiceError."""


class CeleryDoorbell:
    """The doorbell of the Celery workers, on Redis."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, run_ids: Collection[int], *, urgent: bool = False) -> int:
        """See Doorbell.ring."""
        return self._send(queues.READ_SLIDE, run_ids, queues.URGENT if urgent else queues.ORDINARY)

    def waiting(self, limit: int) -> set[int]:
        """See Doorbell.waiting; what is not one of our messages is passed over."""
        lists = (queues.LISTS[queues.URGENT], queues.LISTS[queues.ORDINARY])
        bodies = [body for name in lists for body in self._client("lrange", name, 0, limit - 1)]
        return {run_id for body in bodies if (run_id := run_of(body)) is not None}

    def take_back(self, count: int) -> int:
        """See Doorbell.take_back."""
        return len(self._client("lpop", queues.LISTS[queues.ORDINARY], count) or ())

    def ring_pages(self, patient_ids: Collection[int]) -> int:
        """See Doorbell.ring_pages."""
        return self._send(queues.WRITE_PAGE, patient_ids, queues.LATER)

    def waiting_pages(self, limit: int) -> set[int]:
        """See Doorbell.waiting_pages."""
        bodies = self._client("lrange", queues.LISTS[queues.LATER], 0, limit - 1)
        return {patient_id for body in bodies if (patient_id := patient_of(body)) is not None}

    def depth(self) -> int:
        """Return how many messages wait, ours or not. Raises ServiceError."""
        return sum(int(self._client("llen", name)) for name in queues.LISTS.values())

    def _send(self, task: str, numbers: Collection[int], priority: int) -> int:
        for sent, number in enumerate(numbers):
            try:
                self._app.send_task(
                    task, args=(number,), queue=queues.QUEUE, priority=priority, ignore_result=True, retry=False
                )
            except (KombuError, redis.RedisError) as error:
                log.warning("the broker takes no messages", sent=sent, unsent=len(numbers) - sent, error=_name(error))
                return sent
        return len(numbers)

    def _client(self, command: str, *arguments: Any) -> Any:
        """Return Redis' answer, over the connection settings that the workers have too."""
        try:
            with self._app.pool.acquire(block=True, timeout=10) as connection:
                return getattr(connection.default_channel.client, command)(*arguments)
        except (KombuError, redis.RedisError) as error:
            raise ServiceError(f"the broker does not answer: {_name(error)}") from error


class _Headers(BaseModel):
    task: str


class _Message(BaseModel):
    body: Base64Bytes
    headers: _Headers


def run_of(message: bytes) -> int | None:
    """Return the run id in a message on the queue, None when it is not a message to read a slide."""
    return _number_in(message, queues.READ_SLIDE)


def patient_of(message: bytes) -> int | None:
    """Return the patient in a message on the queue, None when it is not a message to write a report."""
    return _number_in(message, queues.WRITE_PAGE)


def _number_in(message: bytes, task: str) -> int | None:
    try:
        envelope = _Message.model_validate_json(message)
        if envelope.headers.task != task:
            return None
        return _Arguments.validate_json(envelope.body)[0][0]
    except ValidationError:
        return None


def _name(error: Exception) -> str:
    """Return the innermost error's class; its text may hold addresses and passwords."""
    return type(error.__cause__ or error).__name__
