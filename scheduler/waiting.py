"""Waits for slides to be read, and says how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from db.progress import ObjectProgress, progress
from db.records import RunState, StoredObject
from db.session import transact

_POLL_S = 0.3
_PATIENCE_S = 600.0
"""How long an unreachable database is waited for: its supervisor brings it back."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far all of the slides together are."""

    slides: int
    done: int
    quarantined: int
    tiles: int
    tiles_read: int
    tiles_expected: float  # those of slides not yet planned are guessed from the others
    cells: int
    unseen: int  # objects that the scheduler has not registered
    retrying: tuple[str, ...]  # why runs wait for another try

    @property
    def ended(self) -> int:
        """Slides to which nothing more happens."""
        return self.done + self.quarantined

    @property
    def share(self) -> float:
        """How much of the work is done, 0..1."""
        if self.ended == self.slides:
            return 1.0
        return min(0.999, self.tiles_read / self.tiles_expected) if self.tiles_expected else 0.0


def wait_for(engine: Engine, objects: Sequence[StoredObject], tell: Callable[[Standing], None]) -> list[ObjectProgress]:
    """Return how the slides ended, once all of them have; `tell` is called with every look."""
    while True:
        found = transact(engine, lambda conn: progress(conn, objects), patience_s=_PATIENCE_S)
        tell(standing(found))
        if all(one.ended for one in found):
            return found
        time.sleep(_POLL_S)


def standing(found: Sequence[ObjectProgress]) -> Standing:
    """Sum up how far single slides are."""
    planned = [one for one in found if one.tiles is not None]
    tiles = sum(one.tiles or 0 for one in planned)
    open_unplanned = sum(1 for one in found if one.tiles is None and not one.ended)
    guess = tiles / len(planned) if planned else 0.0
    quarantined = sum(1 for one in found if one.state in (RunState.QUARANTINED, RunState.CANCELLED))
    return Standing(
        slides=len(found),
        done=sum(1 for one in found if one.state == RunState.DONE),
        quarantined=quarantined,
        tiles=tiles,
        tiles_read=sum(one.tiles_read or 0 for one in planned),
        tiles_expected=tiles + guess * open_unplanned,
        cells=sum(one.cells for one in found),
        unseen=sum(1 for one in found if one.state is None),
        retrying=tuple(
            sorted({one.error_cause or one.error_code or "" for one in found if one.state == RunState.RETRY_WAIT})
        ),
    )
