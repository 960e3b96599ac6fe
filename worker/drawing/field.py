"""Painting a field: empty glass, red cells and cells laid on it, then the photograph of it."""

from __future__ import annotations

import cv2
import numpy as np

from worker.drawing.cells import CellSprite, RedCellSprite
from worker.drawing.grid import Field, Pixels, f32, smooth_noise
from worker.drawing.stain import Stain

_GRAIN_PX = 509
"""Side of the square of camera noise that is repeated over the field; prime, so that no tile edge coincides."""

_GRAIN_ZERO = 16


def empty_glass(shape: tuple[int, int], stain: Stain, rng: np.random.Generator, mpp_um: float) -> Pixels:
    """Return (h, w, 3) uint8 RGB glass with a breath of dried plasma and uneven light."""
    height, width = shape
    coarse = (max(2, height // 16), max(2, width // 16))
    film = 0.006 * smooth_noise(rng, coarse, max(1.5, 12.0 / mpp_um / 16)) + 0.006
    light = stain.shading * _bowl(rng, coarse)
    passed = np.clip(1.0 - light - np.abs(film), 0.0, 1.0)[..., None] * np.array(stain.background, np.float32)
    return np.asarray(cv2.resize(passed.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR))


def lay_red_cell(canvas: Pixels, sprite: RedCellSprite, x_px: float, y_px: float) -> None:
    """Darken the canvas by a red cell centred at a point; what lies outside the canvas is cut off."""
    spot = _overlap(canvas, sprite.passed, x_px, y_px)
    if spot is not None:
        target, part = spot
        roi = canvas[target]
        cv2.multiply(roi, sprite.passed[part], dst=roi, scale=1 / 255)


def lay_cell(canvas: Pixels, sprite: CellSprite, x_px: float, y_px: float) -> None:
    """Paint a cell over the canvas, centred at a point; what lies outside the canvas is cut off."""
    spot = _overlap(canvas, sprite.rgb, x_px, y_px)
    if spot is not None:
        target, part = spot
        alpha = sprite.alpha[part][..., None]
        canvas[target] = (canvas[target] * (1 - alpha) + sprite.rgb[part] * alpha + 0.5).astype(np.uint8)


def photograph(canvas: Pixels, stain: Stain, rng: np.random.Generator, mpp_um: float) -> Pixels:
    """Return the canvas as the camera sees it: blurred by the optics, less sharp here and there, with grain."""
    sharp = cv2.GaussianBlur(canvas, (0, 0), max(0.3, stain.blur_um / mpp_um))
    soft = cv2.GaussianBlur(canvas, (0, 0), max(0.3, float(np.hypot(stain.blur_um, stain.defocus_um)) / mpp_um))
    height, width = canvas.shape[:2]
    coarse = (max(2, height // 16), max(2, width // 16))
    away = np.clip(0.35 + 0.5 * smooth_noise(rng, coarse, max(1.5, 150.0 / mpp_um / 16)), 0.0, 1.0)
    weight = cv2.resize(away.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    mixed = cv2.blendLinear(soft, sharp, weight, 1 - weight)
    return _grained(np.asarray(mixed, dtype=np.uint8), stain, rng)


def _grained(picture: Pixels, stain: Stain, rng: np.random.Generator) -> Pixels:
    side = (min(_GRAIN_PX, picture.shape[0]), min(_GRAIN_PX, picture.shape[1]), 3)
    noise = np.float32(stain.grain) * rng.standard_normal(side, dtype=np.float32) + np.float32(_GRAIN_ZERO)
    square = np.clip(np.round(noise), 0, 255).astype(np.uint8)
    for top in range(0, picture.shape[0], _GRAIN_PX):
        for left in range(0, picture.shape[1], _GRAIN_PX):
            part = picture[top : top + _GRAIN_PX, left : left + _GRAIN_PX]
            height, width = part.shape[:2]
            cv2.addWeighted(part, 1.0, square[:height, :width], 1.0, -_GRAIN_ZERO, dst=part)
    return picture


def _bowl(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Return 0 at the brightest spot, rising to about 1 in the far corners."""
    centre = rng.uniform(0.3, 0.7, 2)
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None] - np.float32(centre[0])
    cols = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :] - np.float32(centre[1])
    return f32(1.6 * (rows * rows + cols * cols))


def _overlap(
    canvas: Pixels, sprite: Pixels, x_px: float, y_px: float
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Return where a sprite meets the canvas, in the canvas's and in its own rows and columns; None: nowhere."""
    height, width = sprite.shape[:2]
    top, left = round(y_px - height / 2), round(x_px - width / 2)
    row, col = max(0, top), max(0, left)
    row_end, col_end = min(canvas.shape[0], top + height), min(canvas.shape[1], left + width)
    if row >= row_end or col >= col_end:
        return None
    return (
        (slice(row, row_end), slice(col, col_end)),
        (slice(row - top, row_end - top), slice(col - left, col_end - left)),
    )
