"""Values of the inbox: what an event says of an object, and what came of it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HintOutcome(StrEnum):
    """What came of a hint."""

    LOOKED = "looked"  # the bucket was asked, and what it says is registered
    OVERTAKEN = "overtaken"  # the bucket was asked after a later event of the same object
    REFUSED = "refused"
    FAILED = "failed"  # tried too often: left to the listing


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What an event says of one object. Nothing of it is believed but that a look is worth while."""

    msg_id: str  # the same for every delivery of one event
    bucket: str
    key: str
    event: str = ""
    version_id: str = ""
    sequencer: str = ""  # lower-case hex, comparable among the events of one key


@dataclass(frozen=True, kw_only=True)
class WaitingHint:
    """A hint whose turn has come."""

    id: int
    key: str
    sequencer: str
    tries: int  # this one included


def is_later(sequencer: str, than: str) -> bool:
    """Tell whether one sequencer of a key is greater than another; what cannot be compared is neither.

    They are hex numbers of which the shorter is padded with zeros on the right, as their source prescribes.
    """
    width = max(len(sequencer), len(than))
    return bool(sequencer and than) and sequencer.ljust(width, "0") > than.ljust(width, "0")
