"""Boxes on the pixel planes, and the planes themselves.

Planes: `_l0` level-0 px of the slide · `_lv` px of the level read · `_work` px of the working plane (the whole
slide at the model's µm/px; its origin is the slide's) · `_tile` px inside a tile's read box.
"""

from __future__ import annotations

from dataclasses import dataclass

LATTICE_PX = 64
"""Tile cores start and end on multiples of this on the working plane."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A half-open rectangle of whole pixels: x <= px < x_end, y <= py < y_end."""

    x: int
    y: int
    width: int
    height: int

    @property
    def x_end(self) -> int:
        """First column right of the box."""
        return self.x + self.width

    @property
    def y_end(self) -> int:
        """First row below the box."""
        return self.y + self.height

    def grown(self, margin: int) -> Box:
        """Return the box with `margin` px added on each side."""
        return Box(
            x=self.x - margin,
            y=self.y - margin,
            width=self.width + 2 * margin,
            height=self.height + 2 * margin,
        )

    def clipped(self, to: Box) -> Box:
        """Return the part inside `to`; width or height is 0 where nothing is."""
        x, y = max(self.x, to.x), max(self.y, to.y)
        return Box(
            x=x,
            y=y,
            width=max(0, min(self.x_end, to.x_end) - x),
            height=max(0, min(self.y_end, to.y_end) - y),
        )

    def holds_mean(self, sum_x: int, sum_y: int, count: int) -> bool:
        """Tell whether (sum_x/count, sum_y/count) lies inside, in integers so that no rounding decides."""
        return self.x * count <= sum_x < self.x_end * count and self.y * count <= sum_y < self.y_end * count
