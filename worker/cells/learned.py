"""From pixels to the maps of a learned segmenter, and from whole pictures of any scale to their cells.

On a CPU a pixel's maps are the same, bit by bit, in every tile that begins on the network's stride and shows what lies
within its receptive field around the pixel: oneDNN's direct convolutions add up a pixel's terms in one order, whatever
the tile's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, log

import cv2
import numpy as np
import torch
from torch import Tensor

from worker.cells.instances import cells_of
from worker.cells.maps import DEPTH_PER_UM, Maps
from worker.cells.pieces import Labels
from worker.cells.preprocess import rescale
from worker.cells.redraw import redrawn
from worker.cells.segment import CellMask
from worker.cells.stain import Pixels
from worker.geometry import Box
from worker.nets.reach import RECEPTIVE_PX, STRIDE_PX
from worker.nets.segmenter_cards import SegmenterCard
from worker.nets.segmenters import Segmenter
from worker.nets.segnet import CELL, DEPTH, NUCLEUS

WINDOW_PX = 2048
"""Larger pictures are taken in squares of this side, with a margin around each."""
MARGIN_PX = -(-RECEPTIVE_PX // STRIDE_PX) * STRIDE_PX
_HALO_UM = 32.0
"""So much around a square shows its cells whole."""


def predict_maps(tile_rgb: Pixels, segmenter: Segmenter) -> Maps:
    """Return the maps of a (H, W, 3) uint8 RGB tile at the card's µm/px; what is likely by the card is at LIKELY."""
    height, width = tile_rgb.shape[:2]
    missing = 0, -height % STRIDE_PX, 0, -width % STRIDE_PX
    padded = np.asarray(cv2.copyMakeBorder(tile_rgb, *missing, cv2.BORDER_REFLECT_101), np.uint8)
    with torch.inference_mode():
        planes = segmenter.net(_normalised(padded, segmenter))[0].contiguous()
        steps = _in_steps(planes, segmenter.card).cpu().numpy()
    cell, nucleus, depth = (np.ascontiguousarray(steps[plane, :height, :width]) for plane in (CELL, NUCLEUS, DEPTH))
    return Maps(cell=cell, nucleus=nucleus, depth=depth)


def picture_maps(picture_rgb: Pixels, segmenter: Segmenter, window_px: int = WINDOW_PX) -> Maps:
    """Return the maps of a (H, W, 3) uint8 RGB picture at the card's µm/px, which is mirrored around its edges.

    The network sees it in windows of `window_px`, a multiple of its stride; they leave no trace.
    """
    height, width = picture_rgb.shape[:2]
    margins = (MARGIN_PX,) * 4
    mirrored = np.asarray(cv2.copyMakeBorder(picture_rgb, *margins, cv2.BORDER_REFLECT_101), np.uint8)
    whole = Maps(**{name: np.empty((height, width), np.uint8) for name in ("cell", "nucleus", "depth")})
    for core in _windows(Box(x=0, y=0, width=width, height=height), window_px):
        read = mirrored[core.y : core.y_end + 2 * MARGIN_PX, core.x : core.x_end + 2 * MARGIN_PX]
        part = predict_maps(read, segmenter)
        inner = np.s_[MARGIN_PX : MARGIN_PX + core.height, MARGIN_PX : MARGIN_PX + core.width]
        for into, seen in ((whole.cell, part.cell), (whole.nucleus, part.nucleus), (whole.depth, part.depth)):
            into[core.y : core.y_end, core.x : core.x_end] = seen[inner]
    return whole


def picture_cells(maps: Maps, mpp_um: float, window_px: int = WINDOW_PX) -> list[CellMask]:
    """Return the cells of a whole picture, cut ones among them, each from the window that holds its middle."""
    plane = Box(x=0, y=0, width=maps.cell.shape[1], height=maps.cell.shape[0])
    found = []
    for core in _windows(plane, window_px):
        read = core.grown(ceil(_HALO_UM / mpp_um)).clipped(plane)
        place = np.s_[read.y : read.y_end, read.x : read.x_end]
        part = Maps(cell=maps.cell[place], nucleus=maps.nucleus[place], depth=maps.depth[place])
        moved = (_moved(cell, read.x, read.y) for cell in cells_of(part, mpp_um, keep_border=True))
        found += [cell for cell in moved if core.holds_mean(cell.sum_x, cell.sum_y, cell.count)]
    return found


def segment_image(rgb: Pixels, mpp_um: float, segmenter: Segmenter) -> tuple[Labels, Labels]:
    """Return the cells and the nuclei of a (H, W, 3) uint8 RGB picture at `mpp_um` µm/px.

    Returns:
        Two (H, W) int32 label images: whole cells and their nuclei by the same numbers from 1, 0 elsewhere. Cells
        that the picture's edge cuts are among them when enough of the nucleus shows.
    """
    card = segmenter.card
    maps = picture_maps(rescale(rgb, mpp_um, card.mpp_um), segmenter)
    found = picture_cells(maps, card.mpp_um)
    shape = rgb.shape[0], rgb.shape[1]
    cells = redrawn([(cell.x_tile, cell.y_tile, cell.cell) for cell in found], maps.cell, shape)
    nuclei = redrawn([(cell.x_tile, cell.y_tile, cell.nucleus) for cell in found], maps.nucleus, shape)
    nuclei[nuclei != cells] = 0
    return cells, nuclei


def _moved(cell: CellMask, x: int, y: int) -> CellMask:
    return replace(
        cell,
        x_tile=cell.x_tile + x,
        y_tile=cell.y_tile + y,
        sum_x=cell.sum_x + x * cell.count,
        sum_y=cell.sum_y + y * cell.count,
    )


def _normalised(padded: Pixels, segmenter: Segmenter) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 on the device, channels last."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (segmenter.card.mean, segmenter.card.std))
    pixels = torch.from_numpy(padded).to(segmenter.device).permute(2, 0, 1)[None].float()
    return pixels.div_(255).sub_(mean.to(segmenter.device)).div_(std.to(segmenter.device))


def _in_steps(planes: Tensor, card: SegmenterCard) -> Tensor:
    """(3, H, W) float logits and µm -> (3, H, W) uint8 steps of the maps."""
    steps = torch.empty_like(planes, dtype=torch.uint8)
    for plane, above in ((CELL, card.cell_above), (NUCLEUS, card.nucleus_above)):
        steps[plane] = torch.sigmoid(planes[plane] - log(above / (1 - above))).mul_(255).round_()
    steps[DEPTH] = (planes[DEPTH] * DEPTH_PER_UM).round_().clamp_(0, 255)
    return steps


def _windows(plane: Box, window_px: int) -> Iterator[Box]:
    for y in range(0, plane.height, window_px):
        for x in range(0, plane.width, window_px):
            yield Box(x=x, y=y, width=window_px, height=window_px).clipped(plane)
