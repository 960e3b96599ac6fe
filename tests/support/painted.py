"""Fields painted from discs of flat Giemsa colours, for tests that need to know every pixel's meaning."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Disc = tuple[float, float, float, Rgb]
"""x, y, radius in px, colour."""

MPP_UM = 0.25
GLASS: Rgb = (235, 228, 222)
RED_CELL: Rgb = (205, 165, 160)
CHROMATIN: Rgb = (88, 40, 130)
BLUE_CYTOPLASM: Rgb = (140, 140, 200)
PINK_CYTOPLASM: Rgb = (212, 180, 205)


def field(width_px: int, height_px: int, discs: Iterable[Disc]) -> NDArray[np.uint8]:
    """Paint discs one over the other, with soft edges and a little noise that depends on the place alone."""
    image = np.empty((height_px, width_px, 3), np.uint8)
    image[:] = GLASS
    for x, y, radius, colour in discs:
        centre = (round(x * 16), round(y * 16))
        cv2.circle(image, centre, round(radius * 16), colour, cv2.FILLED, cv2.LINE_AA, shift=4)
    noise = np.random.default_rng(0).integers(-3, 4, (height_px, width_px, 1))
    soft = np.asarray(cv2.GaussianBlur(image, (5, 5), 0), np.int16)
    return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)


def lymphocyte(x: float, y: float) -> list[Disc]:
    """A nucleus of 7.5 µm in a narrow rim."""
    return [(x, y, 19, BLUE_CYTOPLASM), (x, y, 15, CHROMATIN)]


def neutrophil(x: float, y: float) -> list[Disc]:
    """Three lobes of 4 µm, parted by 1 µm of pink cytoplasm, in a cell of 13.5 µm."""
    lobes = [(x - 10, y - 6, 8.0, CHROMATIN), (x + 10, y - 6, 8.0, CHROMATIN), (x, y + 11, 8.0, CHROMATIN)]
    return [(x, y, 27, PINK_CYTOPLASM), *lobes]


def plasma_cell(x: float, y: float) -> list[Disc]:
    """An eccentric nucleus of 7.5 µm in a deeply blue cell of 15 µm."""
    return [(x, y, 30, BLUE_CYTOPLASM), (x + 12, y, 15, CHROMATIN)]


def red_cell(x: float, y: float) -> list[Disc]:
    """A red cell of 7.5 µm with its pale middle."""
    return [(x, y, 15, RED_CELL), (x, y, 5, (220, 196, 190))]
