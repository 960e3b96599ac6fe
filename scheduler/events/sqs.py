"""Events that come through a queue of Amazon's SQS, or of a server that speaks like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from db import inbox
from db.hints import Hint
from db.session import transact
from scheduler.events.decode import decoded
from scheduler.events.sqs_client import make_client, translated
from scheduler.events.targets import relevant
from scheduler.registration import PATIENCE_S, Door
from worker.config import StoreSettings
from worker.errors import BadRequestError, ServiceError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = structlog.get_logger(__name__)

WAIT_S = 5
"""How long an empty queue keeps a question open: a scheduler that is to stop waits for no more than that."""
MOST_WAITING = 100_000
"""While so many hints wait, messages stay in the queue."""
_AT_ONCE = 10


class SqsQueue:
    """A queue as a source: its events go into the inbox, and only then out of the queue.

    A message that is no event is deleted too: the listing makes up for whatever it spoke of, and left in place it
    would come again and again.
    """

    name = "sqs"
    every_s = 0.5

    def __init__(self, door: Door, client: SQSClient, url: str, *, stopping: Callable[[], bool]) -> None:
        self._door = door
        self._client = client
        self._url = url
        self._stopping = stopping

    def poll(self) -> int:
        """Move what waits in the queue into the inbox; see EventSource.poll."""
        while not self._stopping():
            if transact(self._door.engine, lambda conn: inbox.is_full(conn, MOST_WAITING), patience_s=PATIENCE_S):
                raise ServiceError(f"more than {MOST_WAITING} events wait for a look; messages stay in the queue")
            messages = self._received()
            if not messages:
                break
            self._note(messages)
            self._delete(messages)
        return 0

    def _received(self) -> list[MessageTypeDef]:
        with translated("receive"):
            answer = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=WAIT_S
            )
        return answer.get("Messages", [])

    def _note(self, messages: Sequence[MessageTypeDef]) -> None:
        hints = relevant((hint for message in messages for hint in _hints(message)), self._door.store)
        new = transact(self._door.engine, lambda conn: inbox.note(conn, self.name, hints), patience_s=PATIENCE_S)
        log.debug("heard", messages=len(messages), events=len(hints), new=new)

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]} for number, message in enumerate(messages)
        ]
        with translated("delete"):
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
        if answer.get("Failed"):  # they come again, and are known then
            log.warning("messages could not be deleted", messages=len(answer["Failed"]))


def open_queue(door: Door, store: StoreSettings, *, stopping: Callable[[], bool]) -> SqsQueue:
    """Return the queue that MARROWLINE_SQS_URL names."""
    url = door.settings.sqs_url
    return SqsQueue(door, make_client(url, store, wait_s=WAIT_S), url, stopping=stopping)


def _hints(message: MessageTypeDef) -> Sequence[Hint]:
    try:
        found = decoded(message.get("Body", ""))
    except BadRequestError as error:
        log.warning("a message is no event", message_id=message.get("MessageId", ""), reason=str(error))
        return ()
    if found.garbage:
        log.warning(
            "some events of a message are garbage", message_id=message.get("MessageId", ""), events=found.garbage
        )
    return found.hints
