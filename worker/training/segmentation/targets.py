"""What the network is to say of a canvas, and of which pixels that is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.training.segmentation.canvas import Canvas
from worker.training.segmentation.data import MPP_UM, Labels

DEEPEST_UM = 8.0
Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """(3, H, W) float32 each, in the order of the network's planes: values, and 1 where they are known."""

    values: Plane
    known: Plane


def targets(canvas: Canvas) -> Targets:
    """Return cell and nucleus as 0 or 1 and the depth in µm.

    Depth is known in cells of known extent and outside all cells, but nowhere that the cell plane is unknown: on the
    seams of a mosaic.
    """
    values = np.stack([canvas.cell == 1, canvas.nucleus == 1, depth_um(canvas.instance)]).astype(np.float32)
    deep = ((canvas.cell == 1) & (canvas.instance > 0)) | (canvas.cell == 0)
    known = np.stack([canvas.cell >= 0, canvas.nucleus >= 0, deep]).astype(np.float32)
    return Targets(values=values, known=known)


def depth_um(instance: Labels) -> Plane:
    """Return the distance of each pixel to the outside of its own cell, at most DEEPEST_UM; 0 outside all cells.

    As in Naylor et al. 2019 (distance map regression): where two cells touch, both have a border there.
    """
    inner = (instance > 0).astype(np.uint8)
    for axis in (0, 1):
        ahead = np.roll(instance, -1, axis)
        border = (instance != ahead) & (instance > 0) & (ahead > 0)
        border[(-1, slice(None)) if axis == 0 else (slice(None), -1)] = False
        inner[border] = 0
        inner[np.roll(border, 1, axis)] = 0
    distance = cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_5) * MPP_UM
    return np.asarray(np.minimum(distance, DEEPEST_UM), np.float32)
