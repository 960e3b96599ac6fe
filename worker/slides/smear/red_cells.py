"""Finds single red cells in a picture of unknown scale: round faint blobs with glass all around them.

Haemoglobin takes blue at least nearly as much as green, chromatin and platelets far more green than blue, so that
colour tells red cells from the rest; shape tells single ones from clumps. The picture is halved again and again, and
in each size only blobs of 12.5-25 px are looked at: cells of 9 to 400 px are found at like sharpness and cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.slides.slide import RgbImage
from worker.slides.smear.absorbance import densities, glass_colour

Floats: TypeAlias = NDArray[np.float32]

LEAST_PX, MOST_PX = 12.5, 25.0
"""Diameters that are looked at in one size of the picture; the next size takes over without a gap."""
FINEST_PX = 9.0
"""The least diameter in the picture as it is, which no finer one stands behind."""
_SIZES = 5
_LEAST_SIDE_PX = 24
_SMOOTH_PX = 0.8
_EDGES = (0.05, 0.075, 0.112, 0.168, 0.252)
"""OD green at which edges are sought, each 1.5 times the one before,"""
_HALF_HEIGHT = (0.41, 0.615)
"""and the share of a blob's own depth at which its edge counts: some step of 1.5 always falls into it."""
_MOST_NUCLEAR = 0.3
"""Nothing in a red cell absorbs by so much more green than blue."""
_MOST_GREEN_ONLY = 0.72
"""Share of its OD green that a red cell may lack in blue."""
_SOLID = 0.93
"""Least area over that of the convex hull."""


_STAINED = 0.112
"""OD green of anything that is not glass."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A convex blob in a red cell's colours, in px of the picture it was found in."""

    x_l0: float  # of its centre, from the picture's corner
    y_l0: float
    diameter_l0: float  # of the circle of the same area
    elongation: float  # of the ellipse that fits it: longer by shorter axis
    upright: float  # natural logarithm of its height over its width


@dataclass(frozen=True, kw_only=True)
class Field:
    """What one picture holds."""

    blobs: tuple[Blob, ...]
    stained_px: int  # pixels that are not glass, whatever lies there


def look_at(field_rgb: RgbImage) -> Field:
    """Return the blobs of a (H, W, 3) uint8 RGB picture that are whole inside it and 9 to 400 px wide."""
    found: list[Blob] = []
    if min(field_rgb.shape[:2]) < _LEAST_SIDE_PX:
        return Field(blobs=(), stained_px=0)
    glass = glass_colour(_halved(field_rgb))
    size, stained_px = field_rgb, 0
    for halvings in range(_SIZES):
        if halvings:
            size = _halved(size)
        if min(size.shape[:2]) < _LEAST_SIDE_PX:
            break
        density = densities(_smooth(size), glass)
        green, nuclear = density[..., 1], density[..., 1] - density[..., 2]
        stained_px = stained_px or int(np.count_nonzero(green > _STAINED))
        for edge in _EDGES:
            blobs = _blobs(green, nuclear, edge, least_px=LEAST_PX if halvings else FINEST_PX)
            found += [_enlarged(blob, 2**halvings) for blob in blobs]
    return Field(blobs=tuple(_distinct(found)), stained_px=stained_px)


def _distinct(blobs: list[Blob]) -> Iterator[Blob]:
    """Yield each cell once: one near a limit is found at two edges, or in two sizes of the picture."""
    centres = np.array([(blob.x_l0, blob.y_l0) for blob in blobs]).reshape(-1, 2)
    for number, blob in enumerate(blobs):
        away = np.abs(centres[:number] - centres[number]).max(axis=1, initial=0)
        if not (away < blob.diameter_l0 / 4).any():
            yield blob


def _halved(rgb: RgbImage) -> RgbImage:
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    return np.asarray(cv2.resize(rgb[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))


def _smooth(rgb: RgbImage) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), _SMOOTH_PX))


def _enlarged(blob: Blob, times: int) -> Blob:
    return replace(blob, x_l0=blob.x_l0 * times, y_l0=blob.y_l0 * times, diameter_l0=blob.diameter_l0 * times)


def _blobs(green: Floats, nuclear: Floats, edge: float, *, least_px: float) -> Iterator[Blob]:
    stained = (green > edge).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(stained, connectivity=8)
    height, width = green.shape
    left, top, wide, high = (stats[:, i] for i in range(4))
    inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    sized = (np.minimum(wide, high) >= least_px / 2) & (np.maximum(wide, high) <= 2 * MOST_PX)
    sized &= wide * high >= least_px**2
    for label in np.flatnonzero(inside & sized):
        x, y, w, h = (int(v) for v in stats[label, :4])
        place = np.s_[y : y + h, x : x + w]
        blob = _blob((labels[place] == label).astype(np.uint8), green[place], nuclear[place], edge)
        if blob is not None and blob.diameter_l0 >= least_px:
            yield replace(blob, x_l0=x + blob.x_l0, y_l0=y + blob.y_l0)


def _blob(mask: NDArray[np.uint8], green: Floats, nuclear: Floats, edge: float) -> Blob | None:
    """Return the blob that fills a (h, w) mask, its pale middle filled, or None when it is no single red cell."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=len)
    if len(contour) < 5:
        return None
    rim = mask > 0
    cv2.drawContours(mask, [contour], -1, 1, cv2.FILLED)
    filled = mask > 0
    diameter = 2 * float(np.sqrt(np.count_nonzero(filled) / np.pi))
    hull = cv2.contourArea(cv2.convexHull(contour))
    if diameter >= MOST_PX or cv2.contourArea(contour) < _SOLID * hull:
        return None
    least, most = (share * float(np.median(green[rim])) for share in _HALF_HEIGHT)
    if not least <= edge < most:
        return None
    if np.percentile(nuclear[filled], 90) > _MOST_NUCLEAR:
        return None
    if nuclear[filled].mean() > _MOST_GREEN_ONLY * green[filled].mean():
        return None
    (x, y), axes, _ = cv2.fitEllipse(contour)
    return Blob(
        x_l0=x + 0.5,
        y_l0=y + 0.5,
        diameter_l0=diameter,
        elongation=max(axes) / max(1.0, min(axes)),
        upright=float(np.log(mask.shape[0] / mask.shape[1])),
    )
