"""The pixel-wise half of the watershed in `pieces`, by torch: on a GPU it takes less than bringing the maps back.

All of it is whole numbers, so that it gives the same as the other, bit by bit.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from worker.cells.pieces import Basins, FindBasins, Labels, find_basins


def basins_on(device: torch.device) -> FindBasins:
    """Return what finds basins where the network runs: numpy on a CPU, which is faster there."""
    return find_basins if device.type == "cpu" else partial(find_basins_on, device=device)


def find_basins_on(depth: Labels, device: torch.device) -> Basins:
    """Do as `pieces.find_basins`, on a device."""
    padded = functional.pad(torch.from_numpy(depth).to(device, torch.int64), (1, 1, 1, 1))
    heights, width = padded.reshape(-1), padded.shape[1]
    inside = heights.nonzero().squeeze(1)
    top = _climb(heights, inside, width)
    here = torch.arange(len(inside), device=device)
    roots = (top == here).nonzero().squeeze(1)
    number = torch.zeros_like(here)
    number[roots] = torch.arange(1, len(roots) + 1, device=device)
    image = torch.zeros_like(heights)
    image[inside] = number[top]
    pairs, saddles = _saddles(image, heights, inside, width)
    return Basins(
        image=image.reshape(padded.shape)[1:-1, 1:-1].to(torch.int32).contiguous().cpu().numpy(),
        peaks=functional.pad(heights[inside[roots]], (1, 0)).cpu().numpy(),
        pairs=pairs.to(torch.int32).cpu().numpy(),
        saddles=saddles.cpu().numpy(),
    )


def _climb(heights: Tensor, inside: Tensor, width: int) -> Tensor:
    """Return for each pixel inside the index, into `inside`, of the maximum that steepest ascent leads to."""
    offsets = torch.tensor([row * width + column for row in range(3) for column in range(3)], device=heights.device)
    corner = inside - width - 1
    # As in pieces: of equal neighbours the last in raster order, whose place the low bits hold.
    best = (heights[corner[:, None] + offsets] << 4) + torch.arange(9, device=heights.device)
    index = torch.zeros_like(heights)
    index[inside] = torch.arange(len(inside), device=heights.device)
    up = index[corner + offsets[best.amax(dim=1) & 15]]
    while not torch.equal(further := up[up], up):
        up = further
    return up


def _saddles(image: Tensor, heights: Tensor, inside: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return (M, 2) touching basins, lower first, and the greatest depth at which each two touch."""
    there = inside[:, None] + torch.tensor([1, width - 1, width, width + 1], device=heights.device)
    a, b = image[inside][:, None].expand_as(there), image[there]
    border = (b != 0) & (a != b)
    lower, higher = torch.minimum(a, b)[border], torch.maximum(a, b)[border]
    touch = torch.minimum(heights[inside][:, None].expand_as(there), heights[there])[border]
    unique, where = torch.unique(lower << 32 | higher, return_inverse=True)
    saddles = torch.zeros_like(unique).scatter_reduce(0, where, touch, "amax")
    return torch.stack([unique >> 32, unique & 0xFFFFFFFF], dim=1), saddles
