"""Training pictures: pieces of fields, turned, scaled and mirrored; single cells side by side; cells pushed together.

Most annotated cells lie alone, while marrow is crowded, so cells are also cut out along their outline and laid
against each other (copy and paste, Ghiasi et al. 2021), by which it is known exactly where one ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from worker.training.segmentation.augment import recoloured
from worker.training.segmentation.data import UNKNOWN, Field, Known, Labels, Pixels

SIDE_PX = 192
_SINGLE_PX = SIDE_PX // 2
_MOST_SCALED = 0.22
_PASTE_IN = 0.4
_MOST_PASTED = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A training picture of SIDE_PX a side and what is known of it."""

    rgb: Pixels = field(repr=False)  # (S, S, 3)
    cell: Known = field(repr=False)
    nucleus: Known = field(repr=False)
    instance: Labels = field(repr=False)


def draw(
    fields: Mapping[str, Sequence[Field]], shares: Mapping[str, float], rng: Generator, *, nearly_own: float = 0.45
) -> Canvas:
    """Return a canvas from one of the sources, drawn by its share; `nearly_own` is the share of mild colour changes."""
    names = sorted(fields)
    weights = np.array([shares[name] for name in names])
    chosen = fields[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    found = chosen[int(rng.integers(len(chosen)))]
    canvas = _mosaic(found, chosen, rng) if max(found.rgb.shape) <= _SINGLE_PX + 16 else _piece(found, SIDE_PX, rng)
    if rng.random() < _PASTE_IN:
        canvas = _crowded(canvas, chosen, rng)
    return replace(canvas, rgb=recoloured(canvas.rgb, rng, nearly_own))


def _mosaic(first: Field, others: Sequence[Field], rng: Generator) -> Canvas:
    """Lay four single-cell pictures side by side; what lies on their seams is unknown."""
    chosen = [first, *(others[int(i)] for i in rng.integers(len(others), size=3))]
    pieces = [_piece(one, _SINGLE_PX, rng) for one in chosen]
    raised = [np.where(p.instance > 0, p.instance + 1000 * no, 0) for no, p in enumerate(pieces)]
    cell = _tiled([p.cell for p in pieces])
    nucleus = _tiled([p.nucleus for p in pieces])
    for plane in (cell, nucleus):
        plane[_SINGLE_PX - 3 : _SINGLE_PX + 3] = UNKNOWN
        plane[:, _SINGLE_PX - 3 : _SINGLE_PX + 3] = UNKNOWN
    return Canvas(rgb=_tiled([p.rgb for p in pieces]), cell=cell, nucleus=nucleus, instance=_tiled(raised))


def _tiled(four: Sequence[NDArray[np.generic]]) -> NDArray:  # type: ignore[type-arg]
    return np.vstack([np.hstack(four[:2]), np.hstack(four[2:])])


def _piece(found: Field, side: int, rng: Generator) -> Canvas:
    """Return a square of a field, turned by any angle, mirrored, scaled, mirrored on where the field ends."""
    height, width = found.rgb.shape[:2]
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
    scale = np.exp(rng.uniform(-_MOST_SCALED, _MOST_SCALED) + rng.uniform(-0.05, 0.05, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([mirror * scale[0], scale[1]])
    centre = np.array([_within(width, side, rng), _within(height, side, rng)])
    affine = np.column_stack([matrix, side / 2 - matrix @ centre])

    def warped(plane: NDArray[np.generic], how: int = cv2.INTER_NEAREST) -> NDArray[np.float32]:
        # All in one type: which pixel is nearest may be rounded otherwise for another.
        values = plane.astype(np.float32)
        out = cv2.warpAffine(values, affine, (side, side), flags=how, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(out, np.float32)

    return Canvas(
        rgb=np.clip(warped(found.rgb, cv2.INTER_LINEAR) + 0.5, 0, 255).astype(np.uint8),
        cell=warped(found.cell).astype(np.int8),
        nucleus=warped(found.nucleus).astype(np.int8),
        instance=warped(found.instance).astype(np.int32),
    )


def _within(length: int, side: int, rng: Generator) -> float:
    """Return where the middle of a square lies along an axis: inside the field, anywhere when it is larger."""
    spare = max(0.0, length - 0.7 * side) / 2
    return length / 2 + float(rng.uniform(-spare, spare)) + float(rng.uniform(-6, 6))


def _crowded(canvas: Canvas, donors: Sequence[Field], rng: Generator) -> Canvas:
    """Return the canvas with a few more cells of the same source laid against those that it shows."""
    rgb, cell = canvas.rgb.copy(), canvas.cell.copy()
    nucleus, instance = canvas.nucleus.copy(), canvas.instance.copy()
    out = Canvas(rgb=rgb, cell=cell, nucleus=nucleus, instance=instance)
    for number in range(int(rng.integers(1, _MOST_PASTED + 1))):
        donor = donors[int(rng.integers(len(donors)))]
        piece = _piece(donor, _SINGLE_PX, rng) if max(donor.rgb.shape) <= _SINGLE_PX + 16 else _around(donor, rng)
        if piece is not None:
            _lay(out, piece, 100_000 + number, rng)
    return out


def _around(donor: Field, rng: Generator) -> Canvas | None:
    """Return a square about one known cell of a field."""
    labels = np.unique(donor.instance)[1:]
    if not len(labels):
        return None
    rows, columns = np.nonzero(donor.instance == rng.choice(labels))
    top, left = int(rows.mean()) - _SINGLE_PX // 2, int(columns.mean()) - _SINGLE_PX // 2
    inside = slice(max(0, top), top + _SINGLE_PX), slice(max(0, left), left + _SINGLE_PX)
    part = Field(
        name=donor.name, source=donor.source, group=donor.group, rgb=donor.rgb[inside], cell=donor.cell[inside],
        nucleus=donor.nucleus[inside], instance=donor.instance[inside],
    )  # fmt: skip
    return _piece(part, _SINGLE_PX, rng)


def _lay(canvas: Canvas, piece: Canvas, label: int, rng: Generator) -> None:
    """Paint the middle cell of a piece on the canvas, against a cell there, if it lies whole in the piece."""
    middle = piece.instance[_SINGLE_PX // 2 - 8 : _SINGLE_PX // 2 + 8, _SINGLE_PX // 2 - 8 : _SINGLE_PX // 2 + 8]
    values, counts = np.unique(middle[middle > 0], return_counts=True)
    if not len(values):
        return
    mask = piece.instance == values[counts.argmax()]
    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return
    y, x = _beside(canvas.instance, mask, rng)
    rows = slice(max(0, y), min(SIDE_PX, y + _SINGLE_PX))
    columns = slice(max(0, x), min(SIDE_PX, x + _SINGLE_PX))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    part = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[part][..., None]
    target = canvas.rgb[rows, columns]
    target[:] = (target * (1 - alpha) + piece.rgb[part] * alpha + 0.5).astype(np.uint8)
    inside = mask[part]
    canvas.cell[rows, columns][inside] = 1
    canvas.nucleus[rows, columns][inside] = piece.nucleus[part][inside]
    canvas.instance[rows, columns][inside] = label


def _beside(instance: Labels, mask: NDArray[np.bool_], rng: Generator) -> tuple[int, int]:
    """Return the top left corner that lays a mask against one of the cells, or anywhere when there is none."""
    labels = np.unique(instance)[1:]
    if not len(labels):
        y, x = rng.integers(-_SINGLE_PX // 2, SIDE_PX - _SINGLE_PX // 2, 2)
        return int(y), int(x)
    rows, columns = np.nonzero(instance == rng.choice(labels))
    radii = np.sqrt(len(rows) / np.pi) + np.sqrt(mask.sum() / np.pi)
    far, angle = radii * rng.uniform(0.82, 1.05), rng.uniform(0, 2 * np.pi)
    mask_y, mask_x = (float(index.mean()) for index in np.nonzero(mask))
    return round(rows.mean() + far * np.sin(angle) - mask_y), round(columns.mean() + far * np.cos(angle) - mask_x)
