"""From a tile's pixels to its nucleated cells, version 0: classical, without trained weights.

Nothing here looks further than a bounded distance, and thresholds come from the slide's fit alone, so a cell comes
out the same in every tile that shows it and about 25 µm around it. What reaches the tile's edge is left out: it lies
whole in another tile, or it is wider than any cell.

Limits: megakaryocytes and clumps whose nuclei cannot be told apart are too large and left out; binucleate cells count
as one; smudge cells and giant platelets that look like nuclei are left to the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.cells.channels import channels, level
from worker.cells.cytoplasm import Mask, Territories, body_mask, own_cell, territories
from worker.cells.lobes import group_pieces
from worker.cells.nuclei import nucleus_mask
from worker.cells.pieces import Pieces, Positions, split_pieces
from worker.cells.stain import Pixels, StainFit, fit_stain

__all__ = ["CellMask", "StainFit", "fit_stain", "segment"]

MIN_NUCLEUS_UM2 = 14.0
"""Smaller chromatin is a platelet, a fragment or dirt,"""
MIN_DENSE_UM2 = 9.0
"""unless it is down to this size as dense as the slide's nuclei: the pyknotic nucleus of a late erythroblast."""
DENSE = 0.9
MAX_NUCLEUS_UM2 = 400.0
MAX_EXTENT_UM = 24.0
"""A nucleus is at most this wide and high; clumps, particles and ink are wider."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CellMask:
    """One nucleated cell of a tile."""

    x_tile: int  # of the masks' first column
    y_tile: int
    nucleus: Mask  # (h, w), all lobes
    cell: Mask  # (h, w), nucleus and cytoplasm
    sum_x: int  # over the nucleus's pixels, in tile px
    sum_y: int
    count: int  # the nucleus's pixels
    lobes: int  # pieces that the nucleus falls into

    @property
    def centre_tile(self) -> tuple[int, int]:
        """The pixel (x, y) that holds the nucleus's centroid."""
        return self.sum_x // self.count, self.sum_y // self.count


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tile:
    """What is known of a tile when its cells are cut out."""

    pieces: Pieces
    land: Territories
    nuclear: Pixels
    fit: StainFit
    mpp_um: float


def segment(tile_rgb: Pixels, fit: StainFit, mpp_um: float) -> list[CellMask]:
    """Return the cells of a (H, W, 3) uint8 RGB tile at `mpp_um` µm/px whose nuclei do not reach its edge."""
    ch = channels(tile_rgb, fit)
    chromatin = nucleus_mask(ch, fit, mpp_um)
    if not chromatin.any():
        return []
    pieces = split_pieces(chromatin, mpp_um)
    land = territories(pieces.labels, body_mask(ch, chromatin, fit, mpp_um), mpp_um)
    tile = _Tile(pieces=pieces, land=land, nuclear=ch.nuclear, fit=fit, mpp_um=mpp_um)
    found = (_cut_out(tile, members) for members in group_pieces(pieces, land, mpp_um))
    return [cell for cell in found if cell is not None]


def _cut_out(tile: _Tile, members: Sequence[int]) -> CellMask | None:
    """Return the cell that these pieces make up, or None when it is no whole cell."""
    place = tile.land.joint(members)
    member = np.zeros(len(tile.pieces.depth), bool)
    member[members] = True
    nucleus = member[tile.pieces.labels[place]]
    rows, columns = np.nonzero(nucleus)
    y_tile, x_tile = place[0].start, place[1].start
    if not _fits(tile, rows + y_tile, columns + x_tile):
        return None
    count = len(rows)
    return CellMask(
        x_tile=x_tile,
        y_tile=y_tile,
        nucleus=nucleus,
        cell=own_cell(nucleus, member[tile.land.labels[place]], tile.mpp_um),
        sum_x=int(columns.sum()) + count * x_tile,
        sum_y=int(rows.sum()) + count * y_tile,
        count=count,
        lobes=len(members),
    )


def _fits(tile: _Tile, rows: Positions, columns: Positions) -> bool:
    """Tell whether a nucleus of these pixels lies whole in the tile and has the size of one."""
    height, width = tile.nuclear.shape
    top, bottom, left, right = int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    if top == 0 or left == 0 or bottom == height - 1 or right == width - 1:
        return False
    if (1 + max(bottom - top, right - left)) * tile.mpp_um > MAX_EXTENT_UM:
        return False
    area_um2 = len(rows) * tile.mpp_um**2
    if area_um2 < MIN_NUCLEUS_UM2:
        dense = int(tile.nuclear[rows, columns].sum()) >= level(DENSE * tile.fit.nucleus) * len(rows)
        return area_um2 >= MIN_DENSE_UM2 and dense
    return area_um2 <= MAX_NUCLEUS_UM2
