"""The plane that one cell is drawn on, and the noise that gives it texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.float32]
"""(h, w) float32: one value per pixel of a grid."""

Bitmap = NDArray[np.bool_]
"""(h, w) bool."""

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8 RGB."""


def f32(values: ArrayLike) -> Field:
    """Return values as float32, whatever they were computed in."""
    return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Pixel centres in micrometres, the origin in the middle."""

    x_um: Field
    y_um: Field
    px_um: float

    @classmethod
    def square(cls, half_um: float, px_um: float) -> Self:
        """Return a grid that reaches `half_um` to every side; its side is a multiple of four pixels."""
        half_px = 2 * max(2, int(np.ceil(half_um / px_um / 2)))
        axis = ((np.arange(2 * half_px) + 0.5 - half_px) * px_um).astype(np.float32)
        x_um, y_um = np.meshgrid(axis, axis)
        return cls(x_um=x_um, y_um=y_um, px_um=px_um)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.x_um.shape
        return height, width

    def radius_um(self, x_um: float = 0.0, y_um: float = 0.0) -> Field:
        """Return the distance of every pixel from a point."""
        return f32(np.hypot(self.x_um - np.float32(x_um), self.y_um - np.float32(y_um)))

    def warped(self, rng: np.random.Generator, *, by_um: float, scale_um: float) -> Grid:
        """Return the grid bent by smooth noise, so that shapes drawn on it lose their regularity."""
        return Grid(
            x_um=self.x_um + np.float32(by_um) * self.noise(rng, scale_um),
            y_um=self.y_um + np.float32(by_um) * self.noise(rng, scale_um),
            px_um=self.px_um,
        )

    def noise(self, rng: np.random.Generator, scale_um: float) -> Field:
        """Return smooth noise of about unit deviation whose features are `scale_um` wide."""
        return smooth_noise(rng, self.shape, scale_um / self.px_um)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> Field:
    """Return (h, w) float32 noise of about unit deviation, drawn coarsely and enlarged by cubic curves."""
    height, width = shape
    coarse = (int(np.ceil(height / scale_px)) + 2, int(np.ceil(width / scale_px)) + 2)
    if scale_px <= 1.0:
        return rng.standard_normal(shape, dtype=np.float32)
    values = rng.standard_normal(coarse, dtype=np.float32)
    size = (max(width, round(coarse[1] * scale_px)), max(height, round(coarse[0] * scale_px)))
    fine: Field = f32(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC))
    top, left = (fine.shape[0] - height) // 2, (fine.shape[1] - width) // 2
    return fine[top : top + height, left : left + width] * np.float32(1.3)


def smoothstep(values: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high` and a smooth rise between; `low` may be the greater one."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return f32(t * t * (3.0 - 2.0 * t))
