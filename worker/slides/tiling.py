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
    """Return the tiles in groups that are read and written together.

    A group is a run along a Hilbert curve through the grid of cores, so its tiles are neighbours and share the
    pixels around their cores. The order of the groups is drawn by `seed`, so that the first of them are a sample of
    the whole slide; by a digest, so that it is the same on every machine and Python. The last may be smaller.
    """
    along = _along_curve(tiles)
    runs = [along[start : start + per_batch] for start in range(0, len(along), per_batch)]
    return tuple(sorted(runs, key=lambda run: (len(run) < per_batch, _digest(seed, run[0]))))


def _digest(seed: int, tile: Tile) -> bytes:
    return hashlib.sha256(f"{seed}:{tile.no}".encode()).digest()


def _along_curve(tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
    columns = {x: number for number, x in enumerate(sorted({tile.core_work.x for tile in tiles}))}
    rows = {y: number for number, y in enumerate(sorted({tile.core_work.y for tile in tiles}))}
    side = 1 << max(len(columns), len(rows), 1).bit_length()

    def place(tile: Tile) -> int:
        return _hilbert(columns[tile.core_work.x], rows[tile.core_work.y], side)

    return tuple(sorted(tiles, key=place))


def _hilbert(x: int, y: int, side: int) -> int:
    """Return how far along a Hilbert curve a cell of a square lies; `side` is a power of two.

    Each quadrant is turned into the curve's first one (Hilbert 1891; the usual bitwise form).
    """
    far = 0
    half = side // 2
    while half:
        right, below = int(x & half > 0), int(y & half > 0)
        far += half * half * ((3 * right) ^ below)
        if not below:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        half //= 2
    return far


def _cores(width: int, height: int, core_px: int, origin: tuple[int, int]) -> Iterator[Box]:
    plane = Box(x=0, y=0, width=width, height=height)
    for y in range(_first(origin[1], core_px), height, core_px):
        for x in range(_first(origin[0], core_px), width, core_px):
            yield Box(x=x, y=y, width=core_px, height=core_px).clipped(plane)


def _first(origin: int, core_px: int) -> int:
    """Return where the first core begins: at 0, or before it when the grid is shifted."""
    return origin % core_px - core_px if origin % core_px else 0
