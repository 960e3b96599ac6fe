"""What spoils places of a smear: pen marks, blur, layers of cells, air bubbles; drawn over a finished picture.

Each function takes a picture (H, W, 3) uint8 RGB and returns another; places are px of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from worker.drawing.grid import Field, Pixels, f32, smooth_noise

PENS: dict[str, tuple[int, int, int]] = {
    "black": (24, 24, 28),
    "blue": (22, 58, 176),
    "green": (12, 118, 66),
    "red": (196, 26, 40),
}
"""Colours of marker pens on glass, seen through the microscope."""

Point = tuple[int, int]
"""(x, y) in px."""


def inked(picture: Pixels, points: Sequence[Point], *, pen: str, width_px: int) -> Pixels:
    """Return the picture with a stroke through points; what lies below it cannot be seen."""
    stroke = np.zeros(picture.shape[:2], np.uint8)
    line = np.array(points, np.int32).reshape(-1, 1, 2)
    cv2.polylines(stroke, [line], isClosed=False, color=255, thickness=width_px, lineType=cv2.LINE_AA)
    return _mixed(picture, np.full_like(picture, PENS[pen]), _shares(cv2.GaussianBlur(stroke, (0, 0), 2.0)))


def defocused(picture: Pixels, where: Field, *, sigma_px: float) -> Pixels:
    """Return the picture blurred where `where` (h, w, 0 to 1) is 1."""
    return _mixed(picture, np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.uint8), where)


def layered(picture: Pixels, where: Field, *, layers: int) -> Pixels:
    """Return the picture with that many layers of its cells over one another where `where` is 1, as in a clot."""
    glass = np.percentile(picture.reshape(-1, 3), 95, axis=0).astype(np.float32)
    passed = np.clip(picture / glass, 0, 1)
    stacked = passed.copy()
    for layer in range(1, layers):
        shift = (97 * layer, -61 * layer)
        stacked *= np.roll(passed if layer % 2 else passed[::-1], shift, axis=(0, 1))
    return _mixed(picture, (stacked * glass).astype(np.uint8), where)


def bubbled(picture: Pixels, centre: Point, *, radius_px: int, rim_px: int) -> Pixels:
    """Return the picture with an air bubble: a dark rim, and all that lies inside out of focus."""
    inside = disc(picture.shape[:2], centre, radius_px)
    blurred = defocused(picture, inside, sigma_px=max(4.0, radius_px / 12))
    rim = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(rim, centre, radius_px, 255, rim_px, cv2.LINE_AA)
    dark = _shares(cv2.GaussianBlur(rim, (0, 0), max(1.0, rim_px / 6)))
    return _mixed(blurred, np.full_like(picture, (38, 36, 40)), dark)


def disc(shape: tuple[int, int], centre: Point, radius_px: int) -> Field:
    """Return (h, w) float32: 1 inside a circle, 0 outside."""
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, centre, radius_px, 255, -1, cv2.LINE_AA)
    return _shares(mask)


def patch(shape: tuple[int, int], centre: Point, radius_px: int, *, seed: int) -> Field:
    """Return (h, w) float32: 1 inside a ragged patch about a point, 0 outside, with a soft border."""
    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    coarse = (max(2, shape[0] // 8), max(2, shape[1] // 8))
    noise = smooth_noise(rng, coarse, max(1.5, radius_px / 8 / 2))
    ragged = np.asarray(cv2.resize(noise, (shape[1], shape[0])))
    away = np.hypot(rows - centre[1], cols - centre[0]) / radius_px + 0.12 * ragged
    return f32(np.clip((1.0 - away) * radius_px / 12 + 0.5, 0, 1))


def _shares(mask: ArrayLike) -> Field:
    """Return 0 to 1 for 0 to 255."""
    return f32(np.asarray(mask) / 255)


def _mixed(below: Pixels, above: Pixels, share: Field) -> Pixels:
    return np.asarray(cv2.blendLinear(above, below, share, 1 - share), dtype=np.uint8)
