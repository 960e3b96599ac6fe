"""Numbers that describe one cell: size, shape, colour, texture.

Areas are pixel counts. `nc_ratio` is nucleus area / cell area (0-1), the whole cell below the line, not the cytoplasm.
Shape features describe the nucleus, all its lobes together. Colours are 8-bit RGB as scanned, not normalised for
stain. Cytoplasm features are 0 where no cytoplasm was found. Texture: the grey-level co-occurrence matrix of the
nucleus (Haralick, Shanmugam and Dinstein, IEEE Trans SMC 1973;3:610), 0.5 µm apart, four directions pooled, 32 grey
levels of fixed width, so that it is comparable between cells of one slide; entropy in nats.
"""

from __future__ import annotations

from math import pi, sqrt

import cv2
import numpy as np

from worker.cells.cytoplasm import Mask
from worker.cells.polygons import Contour, around, contours
from worker.cells.segment import CellMask
from worker.cells.stain import Pixels

NAMES: tuple[str, ...] = (
    "nucleus_area_um2",
    "cell_area_um2",
    "nc_ratio",
    "perimeter_um",
    "circularity",
    "eccentricity",
    "solidity",
    "lobes",
    "nucleus_r_mean",
    "nucleus_g_mean",
    "nucleus_b_mean",
    "nucleus_r_std",
    "nucleus_g_std",
    "nucleus_b_std",
    "cytoplasm_r_mean",
    "cytoplasm_g_mean",
    "cytoplasm_b_mean",
    "cytoplasm_r_std",
    "cytoplasm_g_std",
    "cytoplasm_b_std",
    "texture_contrast",
    "texture_homogeneity",
    "texture_energy",
    "texture_entropy",
)
"""Every feature, in the order in which `measure` gives them."""

TEXTURE_STEP_UM = 0.5
_GREY_LEVELS = 32


def measure(tile_rgb: Pixels, mask: CellMask, mpp_um: float) -> dict[str, float]:
    """Return the features of one cell of a (H, W, 3) uint8 RGB tile; each is finite."""
    height, width = mask.cell.shape
    rgb = tile_rgb[mask.y_tile : mask.y_tile + height, mask.x_tile : mask.x_tile + width]
    values = (
        _shape(mask, mpp_um)
        + _colour(rgb, mask.nucleus)
        + _colour(rgb, mask.cell & ~mask.nucleus)
        + _texture(rgb, mask.nucleus, max(1, round(TEXTURE_STEP_UM / mpp_um)))
    )
    return dict(zip(NAMES, values, strict=True))


def outline(mask: CellMask) -> tuple[tuple[int, int], ...]:
    """Return the cell's outline through its border pixels as (x, y) tile px, without the repeated first point.

    A simple polygon of three points at least; its corners lie within about a pixel of the border.
    """
    polygon = around(mask.cell.astype(np.uint8))
    if len(polygon) < 3:
        polygon = _frame(mask.cell)
    return tuple((int(x) + mask.x_tile, int(y) + mask.y_tile) for x, y in polygon)


def _shape(mask: CellMask, mpp_um: float) -> list[float]:
    borders = contours(mask.nucleus.astype(np.uint8))
    # No outline is shorter than a circle's; the chain code of a few pixels is.
    perimeter_px = max(sum(_perimeter_px(c) for c in borders), 2.0 * sqrt(pi * mask.count))
    cell_px = np.count_nonzero(mask.cell)
    return [
        mask.count * mpp_um**2,
        cell_px * mpp_um**2,
        mask.count / cell_px,
        perimeter_px * mpp_um,
        4.0 * pi * mask.count / perimeter_px**2,
        _eccentricity(mask.nucleus),
        mask.count / _hull_px(np.concatenate(borders)),
        float(mask.lobes),
    ]


def _perimeter_px(contour: Contour) -> float:
    """Return the length of an outline by its chain code (Vossepoel and Smeulders, CGIP 1982;20:347)."""
    steps = np.abs(np.diff(contour[:, 0], axis=0, append=contour[:1, 0]))
    diagonal = steps.sum(axis=1) == 2
    corners = np.count_nonzero(np.any(np.roll(steps, 1, axis=0) != steps, axis=1))
    straight = np.count_nonzero(steps.any(axis=1) & ~diagonal)
    return float(0.980 * straight + 1.406 * np.count_nonzero(diagonal) - 0.091 * corners)


def _hull_px(points: Contour) -> float:
    """Return how many pixel centres the convex hull of some of them holds (Pick's theorem)."""
    hull = cv2.convexHull(points)[:, 0]
    on_border = np.gcd(*np.abs(np.diff(hull, axis=0, append=hull[:1])).T).sum() if len(hull) > 1 else 0
    return float(cv2.contourArea(hull)) + on_border / 2 + 1.0


def _eccentricity(mask: Mask) -> float:
    """Return the eccentricity of the ellipse with the mask's second moments: 0 circle, towards 1 line."""
    rows, columns = np.nonzero(mask)
    covariance = np.cov(np.stack([columns, rows]), bias=True) + np.eye(2) / 12.0  # a pixel is a square, no point
    small, large = np.linalg.eigvalsh(covariance)
    return float(np.sqrt(max(0.0, 1.0 - small / large)))


def _colour(rgb: Pixels, where: Mask) -> list[float]:
    """Return mean and standard deviation of red, green and blue; zeros where the mask is empty."""
    pixels = rgb[where].astype(np.float64)
    if not len(pixels):
        return [0.0] * 6
    return [*pixels.mean(axis=0).tolist(), *pixels.std(axis=0).tolist()]


def _texture(rgb: Pixels, where: Mask, step_px: int) -> list[float]:
    """Return contrast, homogeneity, energy and entropy of the co-occurring grey levels inside the mask."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY).astype(np.intp) * _GREY_LEVELS // 256
    pairs = np.zeros(_GREY_LEVELS**2)
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1)):
        here, there = _shifted(dy * step_px, dx * step_px)
        both = where[here] & where[there]
        pairs += np.bincount((grey[here] * _GREY_LEVELS + grey[there])[both], minlength=_GREY_LEVELS**2)
    matrix = pairs.reshape(_GREY_LEVELS, _GREY_LEVELS)
    total = 2.0 * matrix.sum()
    if not total:
        return [0.0, 1.0, 1.0, 0.0]  # too small to hold a pair: flat
    share = (matrix + matrix.T) / total
    apart = np.subtract.outer(np.arange(_GREY_LEVELS), np.arange(_GREY_LEVELS)) ** 2
    present = share[share > 0]
    return [
        float((share * apart).sum()),
        float((share / (1.0 + apart)).sum()),
        float((share**2).sum()),
        float(-(present * np.log(present)).sum()),
    ]


def _shifted(dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the two windows of an image whose equal positions lie (dy, dx) apart; dy is not negative."""
    rows = slice(None, -dy or None), slice(dy, None)
    columns = slice(max(0, -dx), -dx if dx > 0 else None), slice(max(0, dx), dx if dx < 0 else None)
    return (rows[0], columns[0]), (rows[1], columns[1])


def _frame(mask: Mask) -> Contour:
    """Return the corners of a mask's bounding box, grown to a pixel's width."""
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    right, bottom = max(int(columns.max()), left + 1), max(int(rows.max()), top + 1)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.int32)
