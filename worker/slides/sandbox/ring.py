"""How the shared memory of a stream of tiles is laid out: the boxes asked for, then slots used in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.geometry import Box
from worker.slides.sandbox.memory import in_pages

_BOX_BYTES = 4 * 8


@dataclass(frozen=True, kw_only=True)
class Ring:
    """Sizes of a stream's shared memory."""

    boxes: int
    slots: int
    slot_bytes: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.offset(0) + self.slots * self.slot_bytes

    def offset(self, no: int) -> int:
        """Return where the pixels of a tile begin."""
        return in_pages(self.boxes * _BOX_BYTES) + no % self.slots * self.slot_bytes

    def boxes_in(self, memory: NDArray[np.uint8]) -> list[list[int]]:
        """Return x, y, width and height of every box, as `as_numbers` made them."""
        numbers = memory[: self.boxes * _BOX_BYTES].view(np.int64).reshape(-1, 4)
        return [[int(value) for value in row] for row in numbers]


def ring_for(boxes_work: Sequence[Box], slots: int) -> Ring:
    """Return a ring whose slots hold the largest of the boxes."""
    largest = max((box.width * box.height * 3 for box in boxes_work), default=0)
    return Ring(boxes=len(boxes_work), slots=slots, slot_bytes=in_pages(largest))


def as_numbers(boxes_work: Sequence[Box]) -> NDArray[np.int64]:
    """Return (N, 4) int64: x, y, width, height."""
    return np.array([[box.x, box.y, box.width, box.height] for box in boxes_work], dtype=np.int64).reshape(-1, 4)
