"""Which squares of the working plane are read, and in which order: arithmetic only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from worker.geometry import LATTICE_PX, Box


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of the plane: its core, and the core with the halo that segmentation needs to see."""

    no: int  # counted through the tiles of a plan, row by row
    core_work: Box
    read_work: Box  # may reach beyond the slide, where the plane is background


class Area(Protocol):
    """Where cells are counted (`smear.Readable` is one)."""

    def any_in(self, box_work: Box) -> bool:
        """Tell whether any place in the box is counted."""


def plan_tiles(
    width_work: int,
    height_work: int,
    *,
    core_px: int,
    halo_px: int,
    readable: Area,
    origin: tuple[int, int] = (0, 0),
) -> tuple[Tile, ...]:
    """Return the tiles whose cores hold a readable place; all cores together partition the plane exactly.

    Args:
        origin: where one core begins; any lattice point gives the same cells.

    Raises:
        ValueError: when `core_px` or `origin` is not on the lattice.
    """
    if core_px <= 0 or core_px % LATTICE_PX or origin[0] % LATTICE_PX or origin[1] % LATTICE_PX:
        raise ValueError(f"cores and their origin lie on a lattice of {LATTICE_PX} px")
    cores = (core for core in _cores(width_work, height_work, core_px, origin) if readable.any_in(core))
    return tuple(Tile(no=no, core_work=core, read_work=core.grown(halo_px)) for no, core in enumerate(cores))


def batches(tiles: tuple[Tile, ...], per_batch: int, seed: int) -> tuple[tuple[Tile, ...], ...]:
    """Return the tiles in an order drawn by `seed`, in groups that are written together.

    The order comes from a digest, so it is the same on every machine and Python; drawn, so that the first
    batches are a sample of the whole slide.
    """
    drawn = sorted(tiles, key=lambda tile: hashlib.sha256(f"{seed}:{tile.no}".encode()).digest())
    return tuple(tuple(drawn[start : start + per_batch]) for start in range(0, len(drawn), per_batch))


def _cores(width: int, height: int, core_px: int, origin: tuple[int, int]) -> Iterator[Box]:
    plane = Box(x=0, y=0, width=width, height=height)
    for y in range(_first(origin[1], core_px), height, core_px):
        for x in range(_first(origin[0], core_px), width, core_px):
            yield Box(x=x, y=y, width=core_px, height=core_px).clipped(plane)


def _first(origin: int, core_px: int) -> int:
    """Return where the first core begins: at 0, or before it when the grid is shifted."""
    return origin % core_px - core_px if origin % core_px else 0
