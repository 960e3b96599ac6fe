"""Lays pictures of cells and fields out on glass, at their true scale, as one slide that the line can read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.errors import BadRequestError
from worker.slides.smear.absorbance import glass_colour

Pixels = NDArray[np.uint8]
_GAP_UM = 4.0
"""Bare glass between pictures, so that a cell cut by the edge of one never touches the next one's."""
_EDGE_UM = 1.0
"""Over which a picture fades into the glass: a hard edge would look like a stroke of ink."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How pictures become a sheet."""

    mpp_um: float  # of the pictures, and of the sheet
    disc_um: float | None = None  # radius that is shown about the middle of each; None: the whole picture


def lay_out(pictures: Sequence[Pixels], layout: Layout, seed: int) -> Pixels:
    """Return a (H, W, 3) uint8 RGB sheet of the (h, w, 3) RGB pictures, none of them scaled or turned.

    They lie in rows, in an order drawn from the seed, on glass of the colour that most of them have between the cells.
    Raises BadRequestError without pictures.
    """
    if not pictures:
        raise BadRequestError("a sheet needs a picture at least")
    pictures = [_middle(one, layout) for one in pictures]
    gap_px = round(_GAP_UM / layout.mpp_um)
    high, wide = (max(one.shape[side] for one in pictures) + gap_px for side in (0, 1))
    columns = math.ceil(math.sqrt(len(pictures) * high / wide))
    rows = -(-len(pictures) // columns)
    sheet = np.empty((rows * high + gap_px, columns * wide + gap_px, 3), np.uint8)
    sheet[:] = np.median([glass_colour(one) for one in pictures], axis=0)
    shuffled = np.random.default_rng(seed).permutation(len(pictures))
    for picture, (top, left) in zip((pictures[n] for n in shuffled), _places(rows, columns, high, wide), strict=False):
        height, width = picture.shape[:2]
        spot = sheet[top + gap_px : top + gap_px + height, left + gap_px : left + gap_px + width]
        shown = _shown(height, width, layout)[..., None]
        spot[:] = (spot * (1 - shown) + picture * shown + 0.5).astype(np.uint8)
    return sheet


def _middle(picture: Pixels, layout: Layout) -> Pixels:
    """Return the square about the disc that is shown; the whole picture where no disc is."""
    if layout.disc_um is None:
        return picture
    half = round(layout.disc_um / layout.mpp_um)
    top, left = (max(0, side // 2 - half) for side in picture.shape[:2])
    return picture[top : top + 2 * half + 1, left : left + 2 * half + 1]


def _places(rows: int, columns: int, high: int, wide: int) -> Iterator[tuple[int, int]]:
    for row in range(rows):
        for column in range(columns):
            yield row * high, column * wide


def _shown(height: int, width: int, layout: Layout) -> NDArray[np.float32]:
    """Return (h, w) float32: how much of the picture shows at each px, 0-1; 0 at its border."""
    inside = np.zeros((height + 2, width + 2), np.uint8)
    if layout.disc_um is None:
        inside[1:-1, 1:-1] = 1
    else:
        radius_px = (min(height, width) - 1) // 2
        cv2.circle(inside, (width // 2 + 1, height // 2 + 1), radius_px, 1, thickness=-1)
    depth_px = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(np.clip((depth_px - 1) * layout.mpp_um / _EDGE_UM, 0, 1), dtype=np.float32)
