"""What the scheduler hears of slides by, as its settings say."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.events.inbox import Inbox
from scheduler.events.listing import Listing
from scheduler.events.source import EventSource
from scheduler.registration import Door


def default_sources(door: Door, *, announce: Callable[[], None], stopping: Callable[[], bool]) -> list[EventSource]:
    """Return the listing and the inbox of events."""
    return [
        Listing(door, announce=announce, stopping=stopping),
        Inbox(door, announce=announce, stopping=stopping),
    ]
