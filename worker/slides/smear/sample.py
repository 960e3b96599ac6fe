"""Fields spread over the readable area, from which a slide's stain is fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.geometry import LATTICE_PX, Box
from worker.slides.reader import SlideReader, each_readable
from worker.slides.scale import WorkingPlane
from worker.slides.smear.readable import Readable

_FIELDS = 12
_FIELD_PX = 512
_WHITE = (255, 255, 255)


def sample_fields(reader: SlideReader, plane: WorkingPlane, readable: Readable) -> NDArray[np.uint8]:
    """Return up to 12 fields of 512 working px side by side, (H, W, 3) uint8 RGB; the same ones each time.

    A plane no wider or higher than a field gives one smaller field. Without a readable square the plane's middle
    stands in; fields that cannot be decoded are left out. Raises BadSlideError when none can.
    """
    width, height = min(_FIELD_PX, plane.width_work), min(_FIELD_PX, plane.height_work)
    boxes = dict.fromkeys(_field(x, y, width, height, plane) for x, y in _centres(plane, readable))
    return np.concatenate(list(each_readable(lambda box: reader.tile(plane, box, _WHITE), boxes)), axis=1)


def _centres(plane: WorkingPlane, readable: Readable) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(readable.squares)
    if not len(rows):
        return [(plane.width_work // 2, plane.height_work // 2)]
    chosen = np.unique(np.linspace(0, len(rows) - 1, num=min(_FIELDS, len(rows))).round().astype(int))
    half = LATTICE_PX // 2
    return [(int(columns[i]) * LATTICE_PX + half, int(rows[i]) * LATTICE_PX + half) for i in chosen]


def _field(x: int, y: int, width: int, height: int, plane: WorkingPlane) -> Box:
    """Return a field around a point, moved to lie inside the plane and to begin on the lattice."""
    left = min(max(0, x - width // 2), plane.width_work - width) // LATTICE_PX * LATTICE_PX
    top = min(max(0, y - height // 2), plane.height_work - height) // LATTICE_PX * LATTICE_PX
    return Box(x=left, y=top, width=width, height=height)
