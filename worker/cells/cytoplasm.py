"""Which pixels around chromatin are cytoplasm: stained, no red cell, nearer to this piece than to any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.cells.channels import ZERO, Channels, above
from worker.cells.nuclei import disc, fill_holes
from worker.cells.pieces import Labels
from worker.cells.stain import Pixels, StainFit

Mask = NDArray[np.bool_]
Place = tuple[slice, slice]

REACH_UM = 7.0
"""Cytoplasm ends at most this far from chromatin."""
GRAIN_UM = 0.5
"""Gaps up to twice this wide, between granules, are cytoplasm."""
BRIDGE_UM = 0.75
"""Bridges to neighbours and spurs up to twice this wide are not."""
MAX_HOLE_UM2 = 12.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Territories:
    """The chromatin and possible cytoplasm that lies nearest to each piece."""

    labels: Labels  # (H, W), 0 outside the body mask and out of reach
    distance_px: NDArray[np.float32]  # (H, W) to the nearest piece
    places: Sequence[Place]  # bounding rows and columns, of label 1 first

    def joint(self, labels: Sequence[int]) -> Place:
        """Return the rows and columns that hold all these territories."""
        places = [self.places[label - 1] for label in labels]
        rows = slice(min(p[0].start for p in places), max(p[0].stop for p in places))
        return rows, slice(min(p[1].start for p in places), max(p[1].stop for p in places))


def body_mask(ch: Channels, chromatin: Pixels, fit: StainFit, mpp_um: float) -> Pixels:
    """Return (H, W) uint8, 255 on chromatin and on what is neither background nor red cell, smoothed."""
    stained = above(ch.green, fit.present_g)
    azure = above(ch.red_blue, fit.red_cell_rb, ZERO)
    purple = above(ch.nuclear, fit.red_cell_top)
    deep = above(ch.green, fit.red_cell_deep_g)
    body = cv2.bitwise_and(stained, cv2.bitwise_or(azure, cv2.bitwise_or(purple, deep)))
    closed = cv2.morphologyEx(cv2.bitwise_or(body, chromatin), cv2.MORPH_CLOSE, disc(GRAIN_UM, mpp_um))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(BRIDGE_UM, mpp_um))
    return np.asarray(cv2.bitwise_or(opened, chromatin), np.uint8)


def territories(pieces: Labels, body: Pixels, mpp_um: float) -> Territories:
    """Share a (H, W) body mask, which holds all pieces, out among the pieces; there must be one at least."""
    inside = pieces != 0
    distance, seeds = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(seeds.max()) + 1, np.int32)
    owner[seeds[inside]] = pieces[inside]
    labels = np.zeros_like(pieces)
    held = np.flatnonzero((body != 0) & (distance <= REACH_UM / mpp_um))
    labels.ravel()[held] = owner[seeds.ravel()[held]]
    return Territories(labels=labels, distance_px=distance, places=[(p[0], p[1]) for p in ndimage.find_objects(labels)])


def own_cell(nucleus: Mask, territory: Mask, mpp_um: float) -> Mask:
    """Return the part of a cell's territory that hangs together with its nucleus, small holes filled."""
    candidate = (territory | nucleus).astype(np.uint8)
    count, labels = cv2.connectedComponents(candidate, connectivity=4)
    kept = np.zeros(count, np.uint8)
    kept[np.unique(labels[nucleus])] = 255
    return fill_holes(kept[labels], MAX_HOLE_UM2 / mpp_um**2) > 0
