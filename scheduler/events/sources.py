"""What the scheduler hears of slides by, as its settings say."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.events.inbox import Inbox
from scheduler.events.listing import Listing
from scheduler.events.source import EventSource
from scheduler.registration import Door
from worker.config import StoreSettings


def default_sources(door: Door, *, announce: Callable[[], None], stopping: Callable[[], bool]) -> list[EventSource]:
    """Return the listing, the inbox of events, and the queue when the settings name one."""
    sources: list[EventSource] = [
        Listing(door, announce=announce, stopping=stopping),
        Inbox(door, announce=announce, stopping=stopping),
    ]
    if door.settings.sqs_url:
        from scheduler.events.sqs import open_queue  # noqa: PLC0415 - boto3 loads slowly, and most need none of it

        sources.append(open_queue(door, StoreSettings(), stopping=stopping))
    return sources
