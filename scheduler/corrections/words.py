"""What a file of corrections says, before any database is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from db.corrections import Said
from db.places import Place
from db.records import CellClass
from worker.errors import BadRequestError

_ALSO = {"artifact": CellClass.ARTEFACT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointed:
    """What is said of the cell at a place."""

    place: Place
    cell_class: str
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a file says, and of how much in it nothing is taken."""

    said: tuple[Said, ...] = ()
    pointed: tuple[Pointed, ...] = ()
    present: Mapping[int, frozenset[tuple[int, int]]] = field(default_factory=dict)  # run: batch and number of cells
    untouched: int = 0  # cells of ours as they were exported
    unclassified: int = 0  # cells of ours without a class
    foreign: int = 0  # objects that are no cells of ours


def class_of(name: str, where: str) -> CellClass:
    """Return the class that a name stands for, whatever its spaces and capitals. Raises BadRequestError."""
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    if plain in _ALSO:
        return _ALSO[plain]
    try:
        return CellClass(plain)
    except ValueError:
        raise BadRequestError(f"{where}: {name!r} is no class; give one of {', '.join(CellClass)}") from None
