"""Training crops: drawn cells with neighbours, in many stains, cut as the pipeline cuts them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import CellClass
from worker.drawing.cells import CellSprite, RedCellSprite, draw_cell, draw_red_cell
from worker.drawing.field import empty_glass, lay_cell, lay_red_cell, photograph
from worker.drawing.grid import Pixels
from worker.drawing.scatter import clear_of, scattered
from worker.drawing.stain import Stain

CROP_CLASSES: tuple[CellClass, ...] = tuple(c for c in CellClass if c is not CellClass.MEGAKARYOCYTE)
"""Every class but the megakaryocyte, which is wider than a crop."""

_PER_SLIDE = 12
"""Crops that share one stain and one stock of red cells."""

_JITTER_UM = 0.7
"""How far a segmented centroid may lie from the middle of a crop."""


def draw_crops(
    rng: np.random.Generator,
    per_class: int,
    *,
    crop_px: int = 80,
    mpp_um: float = 0.25,
    classes: Sequence[CellClass] = CROP_CLASSES,
) -> tuple[NDArray[np.uint8], list[CellClass]]:
    """Return (N, crop_px, crop_px, 3) uint8 RGB and N labels in random order, `per_class` of each class.

    The labelled cell's nucleus (the cell itself where it has none) is centred to within 1 µm.
    """
    labels = [c for c in classes for _ in range(per_class)]
    rng.shuffle(labels)
    crops = np.empty((len(labels), crop_px, crop_px, 3), np.uint8)
    for start in range(0, len(labels), _PER_SLIDE):
        stain = Stain.sample(rng)
        reds = [draw_red_cell(rng, mpp_um=mpp_um, stain=stain) for _ in range(8)]
        density = float(rng.uniform(2500, 12000))
        for index in range(start, min(start + _PER_SLIDE, len(labels))):
            middle = draw_cell(labels[index], rng, mpp_um=mpp_um, stain=stain)
            crops[index] = _crop(rng, middle, reds, stain, (crop_px, mpp_um, density))
    return crops, labels


def _crop(
    rng: np.random.Generator,
    middle: CellSprite,
    reds: Sequence[RedCellSprite],
    stain: Stain,
    plane: tuple[int, float, float],
) -> Pixels:
    """Return one photographed crop; `plane` is (side in px, µm/px, red cells per mm²)."""
    side, mpp_um, density = plane
    pad = round(4 / mpp_um)
    full = side + 2 * pad
    canvas = empty_glass((full, full), stain, rng, mpp_um)
    at = full / 2 + rng.uniform(-1, 1, 2) * _JITTER_UM / mpp_um + _to_nucleus(middle)
    laid = [(middle, at), *_neighbours(rng, middle, at, stain, mpp_um)]
    centres = np.array([where for _, where in laid])
    radii = np.array([sum(cell.alpha.shape) / 4 + 1.8 / mpp_um for cell, _ in laid])
    count = rng.poisson(density * (full * mpp_um / 1000) ** 2)
    points = scattered(rng, (full, full), count, apart=6.5 / mpp_um, tolerance=0.15, margin=4 / mpp_um)
    for x, y in clear_of(points, centres, radii):
        lay_red_cell(canvas, reds[int(rng.integers(len(reds)))], x, y)
    for cell, (x, y) in reversed(laid):
        lay_cell(canvas, cell, x, y)
    shot = photograph(canvas, stain, rng, mpp_um)[pad : pad + side, pad : pad + side]
    return _compressed(shot, int(rng.integers(75, 96)))


def _neighbours(
    rng: np.random.Generator, middle: CellSprite, at: NDArray[np.float64], stain: Stain, mpp_um: float
) -> list[tuple[CellSprite, NDArray[np.float64]]]:
    """Return up to two cells beside the middle one, touching it or a little away, and a platelet at times."""
    near = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.55, 0.3, 0.15]))):
        kind = CROP_CLASSES[int(rng.integers(10))]
        cell = draw_cell(kind, rng, mpp_um=mpp_um, stain=stain)
        reach = (max(middle.alpha.shape) + max(cell.alpha.shape)) / 2 + rng.uniform(-0.5, 5) / mpp_um
        angle = rng.uniform(0, 2 * np.pi)
        near.append((cell, at + reach * np.array([np.cos(angle), np.sin(angle)])))
    if rng.random() < 0.25:
        cell = draw_cell(CellClass.PLATELET, rng, mpp_um=mpp_um, stain=stain)
        angle, reach = rng.uniform(0, 2 * np.pi), max(middle.alpha.shape) / 2 + rng.uniform(1, 6) / mpp_um
        near.append((cell, at + reach * np.array([np.cos(angle), np.sin(angle)])))
    return near


def _to_nucleus(cell: CellSprite) -> NDArray[np.float64]:
    """Return the step (x, y) that brings a sprite's nucleus, not its box, to the middle."""
    mask = cell.nucleus if cell.nucleus.any() else cell.cell
    rows, cols = np.nonzero(mask)
    height, width = mask.shape
    return np.array([width / 2 - cols.mean() - 0.5, height / 2 - rows.mean() - 0.5])


def _compressed(picture: Pixels, quality: int) -> Pixels:
    """Return the picture after JPEG, as slides store it."""
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
