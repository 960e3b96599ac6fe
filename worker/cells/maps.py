"""What the learned segmenter says of each pixel, in whole numbers, so that decoding them rounds alike everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.cells.stain import Pixels

DEPTH_PER_UM = 16
"""Steps of depth in a micrometre; 255 steps are as deep as can be told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Maps:
    """Three (H, W) uint8 maps of one tile."""

    cell: Pixels  # probability x 255 that the pixel lies in a nucleated cell, whole body
    nucleus: Pixels  # likewise for the chromatin of a nucleated cell
    depth: Pixels  # distance to the own cell's outline or to the border with the next cell, in steps; 0 outside

    def __post_init__(self) -> None:
        if any(one.dtype != np.uint8 or one.ndim != 2 for one in (self.cell, self.nucleus, self.depth)):
            raise ValueError("maps are (H, W) uint8")
        if not self.cell.shape == self.nucleus.shape == self.depth.shape:
            raise ValueError(f"shapes differ: {self.cell.shape}, {self.nucleus.shape}, {self.depth.shape}")
