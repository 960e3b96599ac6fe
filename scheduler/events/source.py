"""Where slides are heard of. The listing alone is enough; whatever else tells of them makes it only faster."""

from __future__ import annotations

from typing import Protocol


class EventSource(Protocol):
    """Something that tells of new objects. A source decides nothing: each key goes through `take_in`."""

    @property
    def name(self) -> str:
        """The source in logs."""

    @property
    def every_s(self) -> float:
        """How long to wait between two calls of `poll`."""

    def poll(self) -> int:
        """Take in what is new and return how many runs became due.

        Raises ServiceError and the database's errors; the next call goes on.
        """
