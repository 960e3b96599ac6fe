"""From the learned segmenter's maps to cells: what is likely cell is cut where the predicted depth has its valleys.

Watershed of a regressed distance map (Naylor et al., IEEE Trans Med Imaging 2019;38:448), in whole numbers and
without a look further than a cell is wide, so a cell comes out the same in every tile that shows it with enough
around it. A piece without a nucleus is part of its neighbour where the valley between them is shallow; else it is a
platelet, the rest of a smudge cell, deposit or debris, and no cell.

Limits: megakaryocytes and clumps that show no valley are too large and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from worker.cells.cytoplasm import MAX_HOLE_UM2, Mask, Place
from worker.cells.maps import Maps
from worker.cells.nuclei import disc, fill_holes
from worker.cells.pieces import FindBasins, Labels, Pieces, Positions, split_by_depth, split_pieces, summed
from worker.cells.segment import MAX_EXTENT_UM, MAX_NUCLEUS_UM2, MIN_DENSE_UM2, MIN_NUCLEUS_UM2, CellMask
from worker.cells.stain import Pixels

LIKELY = 128
"""From this value on a pixel is cell, or chromatin."""
SURE = 205
"""A nucleus below MIN_NUCLEUS_UM2 counts when its pixels are so likely in the mean: the pyknotic erythroblast's."""
CONFIDENT = 219
"""Mean over a cell's pixels and its chromatin's, half and half: smudge cells, clumped platelets and deposit that are
taken for cells lie below, even cells of stains never seen above (226 and more)."""
OPENING_UM = 0.5
"""Bridges and spurs up to twice this wide are neither cell nor chromatin."""
ONE_CELL = 0.75
"""A valley this deep, as a share of the shallower piece's depth, does not part two pieces;"""
ONE_WITHOUT_NUCLEUS = 0.5
"""one this deep does not where one of them has no nucleus."""
MAX_CELL_UM = 30.0
"""A cell is at most this wide and high,"""
MAX_REACH_UM = 18.0
"""and no part of it further from its nucleus's centre, along the rows or the columns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tile:
    """What is known of a tile when its cells are cut out."""

    maps: Maps
    labels: Labels  # (H, W), 0 outside, 1..n the cells
    chromatin: Pixels  # (H, W), 255 inside the cells only
    lobes: Positions  # (n + 1,) pieces of each cell's chromatin; [0] means nothing
    mpp_um: float
    keep_border: bool


def cells_of(
    maps: Maps, mpp_um: float, *, keep_border: bool = False, basins: FindBasins | None = None
) -> list[CellMask]:
    """Return the nucleated cells of a tile at `mpp_um` µm/px, disjoint and each in one piece.

    Args:
        keep_border: keep cells that reach the tile's edge, when enough of the nucleus is inside. A tile that others
            overlap leaves them out: they lie whole in another.
        basins: what works on each pixel of the watershed, on a GPU say.
    """
    body = _likely(maps.cell, mpp_um)
    if not body.any():
        return []
    pieces = split_by_depth(_depth(maps.depth, body), ONE_CELL, basins)
    number, places = _cells_of_pieces(pieces, _nucleated(pieces, maps.nucleus, mpp_um), mpp_um)
    labels = number[pieces.labels]
    chromatin = _chromatin(maps.nucleus, labels, mpp_um)
    tile = _Tile(
        maps=maps,
        labels=labels,
        chromatin=chromatin,
        lobes=_count_lobes(labels, split_pieces(chromatin, mpp_um, basins).labels),
        mpp_um=mpp_um,
        keep_border=keep_border,
    )
    found = (_cut_out(tile, number, place) for number, place in enumerate(places, start=1))
    return [cell for cell in found if cell is not None]


def _likely(values: Pixels, mpp_um: float) -> Pixels:
    """Return (H, W) uint8, 255 where a map is likely, without spurs and small holes."""
    mask = cv2.threshold(values, LIKELY - 1, 255, cv2.THRESH_BINARY)[1]
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(OPENING_UM, mpp_um))
    return fill_holes(np.asarray(opened, np.uint8), MAX_HOLE_UM2 / mpp_um**2)


def _depth(steps: Pixels, body: Pixels) -> Labels:
    # Every pixel of the body is one of a piece, however shallow, and none outside.
    depth = np.maximum(summed(steps), 1)
    depth[body == 0] = 0
    return depth


def _nucleated(pieces: Pieces, values: Pixels, mpp_um: float) -> Mask:
    """Return (n + 1,) bool: which pieces hold enough chromatin for a nucleus."""
    at = np.flatnonzero((values >= LIKELY) & (pieces.labels != 0))
    piece, number = pieces.labels.ravel()[at], len(pieces.depth)
    count = np.bincount(piece, minlength=number)
    # Sums of whole numbers below 2^53 are exact in the floats that bincount returns.
    sure = np.bincount(piece, weights=values.ravel()[at], minlength=number) >= SURE * count
    return np.asarray((count >= MIN_NUCLEUS_UM2 / mpp_um**2) | (count >= MIN_DENSE_UM2 / mpp_um**2) & sure)


def _chromatin(values: Pixels, labels: Labels, mpp_um: float) -> Pixels:
    """Return (H, W) uint8, 255 on the cells' chromatin, with a gap where two cells touch."""
    apart = np.where(labels != 0, values, np.uint8(0))
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        apart[here][(labels[here] != labels[there]) & (labels[there] != 0)] = 0
    mask = _likely(apart, mpp_um)
    mask[labels == 0] = 0
    return mask


def _cells_of_pieces(pieces: Pieces, nucleated: Mask, mpp_um: float) -> tuple[Labels, list[Place]]:
    """Return (n + 1,) the number of each piece's cell, from 1, or 0 for none; and the rows and columns of each cell."""
    number = np.where(nucleated, np.cumsum(nucleated), 0).astype(np.int32)
    places = [(place[0], place[1]) for place in ndimage.find_objects(pieces.labels)]
    for bare, host in sorted(_hosts(pieces, nucleated).items()):
        joint = _joint(places[bare - 1], places[host - 1])
        if max(one.stop - one.start for one in joint) * mpp_um <= MAX_CELL_UM:
            number[bare], places[host - 1] = number[host], joint
    return number, [places[piece - 1] for piece in np.flatnonzero(nucleated).tolist()]


def _hosts(pieces: Pieces, nucleated: Mask) -> dict[int, int]:
    """Return for pieces without a nucleus the piece with one that they are part of."""
    has, depth = nucleated.tolist(), pieces.depth.tolist()
    best: dict[int, tuple[int, int]] = {}
    for (a, b), neck in pieces.necks.items():
        if has[a] != has[b] and neck >= ONE_WITHOUT_NUCLEUS * min(depth[a], depth[b]):
            bare, host = (b, a) if has[a] else (a, b)
            best[bare] = max(best.get(bare, (0, 0)), (neck, -host))
    return {bare: -host for bare, (_, host) in best.items()}


def _joint(a: Place, b: Place) -> Place:
    rows, columns = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(a, b, strict=True))
    return rows, columns


def _count_lobes(labels: Labels, lobes: Labels) -> Positions:
    """Return (n + 1,) how many lobes lie in each cell; no lobe crosses the gap between two cells."""
    at = np.flatnonzero(lobes != 0)
    cell_of = np.zeros(int(lobes.max(initial=0)) + 1, np.int32)
    cell_of[lobes.ravel()[at]] = labels.ravel()[at]
    return np.bincount(cell_of, minlength=int(labels.max()) + 1)


def _cut_out(tile: _Tile, number: int, place: Place) -> CellMask | None:
    """Return one cell, or None when it does not lie whole in the tile or is larger than a cell."""
    labels = tile.labels[place]
    own = labels == number
    nucleus = own & (tile.chromatin[place] != 0)
    rows, columns = np.nonzero(nucleus)
    if not all(_checks(tile, place, rows, columns)) or not _confident(tile.maps, place, own, nucleus):
        return None
    filled = fill_holes(own.astype(np.uint8) * 255, MAX_HOLE_UM2 / tile.mpp_um**2) != 0
    y_tile, x_tile = place[0].start, place[1].start
    return CellMask(
        x_tile=x_tile,
        y_tile=y_tile,
        nucleus=nucleus,
        cell=own | (filled & (labels == 0)),
        sum_x=int(columns.sum()) + len(rows) * x_tile,
        sum_y=int(rows.sum()) + len(rows) * y_tile,
        count=len(rows),
        lobes=int(tile.lobes[number]),
    )


def _checks(tile: _Tile, place: Place, *nucleus: Positions) -> Iterator[bool]:
    """Yield what must hold of a cell in `place` whose nucleus has pixels in these rows and columns of it."""
    count = len(nucleus[0])
    yield MIN_DENSE_UM2 <= count * tile.mpp_um**2 <= MAX_NUCLEUS_UM2
    for extent, size, positions in zip(place, tile.labels.shape, nucleus, strict=True):
        length, centre = extent.stop - extent.start, int(positions.sum()) // count
        yield tile.keep_border or (extent.start > 0 and extent.stop < size)
        yield length * tile.mpp_um <= MAX_CELL_UM
        yield max(centre, length - 1 - centre) * tile.mpp_um <= MAX_REACH_UM
        yield (1 + int(positions.max()) - int(positions.min())) * tile.mpp_um <= MAX_EXTENT_UM


def _confident(maps: Maps, place: Place, cell: Mask, nucleus: Mask) -> bool:
    """Tell whether the maps are sure enough of a cell; in whole numbers, so that no rounding decides."""
    of_cell, of_nucleus = maps.cell[place][cell], maps.nucleus[place][nucleus]
    weighed = int(of_cell.sum()) * of_nucleus.size + int(of_nucleus.sum()) * of_cell.size
    return weighed >= 2 * CONFIDENT * of_cell.size * of_nucleus.size
