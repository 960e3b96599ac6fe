"""What a report keeps of a run's cells while they pass: counts, places, and a fair sample of each class.

The sample is drawn by a digest of each cell's number, so it is the same for whoever asks, and no confident minority:
a gallery of the surest cells only would show a model at its best.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from db.cases import CaseCell
from db.records import NOT_COUNTED, CellClass

NOT_CALLED = "not called"
"""Where cells stand that the model would not call; the name of no class."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A cell that may be shown."""

    run_id: int
    x_l0: float
    y_l0: float
    cell_class: str  # the likeliest by the model, also of a cell that was not called or was corrected
    probability: float  # of that class
    corrected: bool = False  # whether a person has said what it is


@dataclass(frozen=True, kw_only=True)
class SeenRun:
    """A run's cells, taken together."""

    counts: Counter[str] = field(default_factory=Counter)  # by class, and NOT_CALLED
    places_l0: dict[str, array[float]] = field(default_factory=dict)  # x, y, x, y ... by class, and NOT_CALLED
    sample: dict[str, list[Sampled]] = field(default_factory=dict)  # drawn, the surest first
    named: int = 0  # cells of which a person has said what they are

    @property
    def counted(self) -> int:
        """How many cells are in the denominator."""
        return sum(number for name, number in self.counts.items() if name == NOT_CALLED or is_counted(name))


def is_counted(cell_class: str) -> bool:
    """Tell whether cells of a class are in the denominator of shares."""
    return CellClass(cell_class) not in NOT_COUNTED


def shown_class(cell: CaseCell) -> str:
    """Return the class that a cell stands under in a report.

    It is that of its correction, else NOT_CALLED where it is counted and was not called.
    """
    if cell.corrected_class is not None:
        return cell.corrected_class
    return NOT_CALLED if cell.abstained and is_counted(cell.cell_class) else cell.cell_class


def seen(cells: Iterable[CaseCell], most: Mapping[str, int], *, otherwise: int) -> SeenRun:
    """Return what is kept of a run's cells, at most `most` of each class, or `otherwise`, as a sample."""
    found = SeenRun()
    drawn: dict[str, list[tuple[int, int, Sampled]]] = {}
    named = 0
    for no, cell in enumerate(cells):
        if cell.corrected_class is None and cell.abstained and not is_counted(cell.cell_class):
            continue  # in no count of the verdict either
        named += cell.corrected_class is not None
        name = shown_class(cell)
        found.counts[name] += 1
        found.places_l0.setdefault(name, array("f")).extend((cell.x_l0, cell.y_l0))
        entry = (-_digest(cell), no, _sampled(cell))
        held = drawn.setdefault(name, [])
        if len(held) < most.get(name, otherwise):
            heapq.heappush(held, entry)
        else:
            heapq.heappushpop(held, entry)
    found.sample.update({name: surest([one for *_, one in held]) for name, held in drawn.items()})
    return replace(found, named=named)


def surest(cells: Iterable[Sampled]) -> list[Sampled]:
    """Return cells by their probability, the surest first."""
    return sorted(cells, key=lambda one: (-one.probability, one.run_id, one.y_l0, one.x_l0))


def _digest(cell: CaseCell) -> int:
    key = f"{cell.run_id}/{cell.batch_no}/{cell.cell_no}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest())


def _sampled(cell: CaseCell) -> Sampled:
    return Sampled(
        run_id=cell.run_id,
        x_l0=cell.x_l0,
        y_l0=cell.y_l0,
        cell_class=cell.cell_class,
        probability=cell.probability,
        corrected=cell.corrected_class is not None,
    )
