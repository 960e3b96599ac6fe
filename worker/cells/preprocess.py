"""From pixels to network input, shared by training and inference so that they cannot drift apart.

The steps follow the source paper's: consistent scale and size, optional colour conversion and noise filter,
normalisation. Which options a model wants is written on its card.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.nets.cards import Colour, Denoise

Pixels = NDArray[np.uint8]


def rescale(image_rgb: Pixels, from_mpp_um: float, to_mpp_um: float) -> Pixels:
    """Return (H, W, 3) uint8 RGB resampled from one scale to another: area mean down, cubic up."""
    factor = from_mpp_um / to_mpp_um
    height, width = image_rgb.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image_rgb, size, interpolation=how), dtype=np.uint8)


def crop(tile_rgb: Pixels, x_tile: int, y_tile: int, size_px: int) -> Pixels:
    """Return the (size_px, size_px, 3) uint8 square whose row and column size_px // 2 hold (x_tile, y_tile).

    Pixels beyond the tile repeat its border. Raises ValueError when the centre is not a pixel of the tile.
    """
    height, width = tile_rgb.shape[:2]
    if not (0 <= x_tile < width and 0 <= y_tile < height):
        raise ValueError(f"centre ({x_tile}, {y_tile}) lies outside the {width} x {height} tile")
    top, left = y_tile - size_px // 2, x_tile - size_px // 2
    bottom, right = top + size_px, left + size_px
    inside = tile_rgb[max(0, top) : bottom, max(0, left) : right]
    missing = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if not any(missing):
        return inside.copy()
    return np.asarray(cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REPLICATE), dtype=np.uint8)


def crops(tile_rgb: Pixels, centres_tile: Sequence[tuple[int, int]], size_px: int) -> Pixels:
    """Return (N, size_px, size_px, 3) uint8 RGB, one `crop` for each (x, y)."""
    out = np.empty((len(centres_tile), size_px, size_px, 3), dtype=np.uint8)
    for row, (x_tile, y_tile) in zip(out, centres_tile, strict=True):
        row[...] = crop(tile_rgb, x_tile, y_tile, size_px)
    return out


def resized(crops_rgb: Pixels, size_px: int) -> Pixels:
    """Return (N, size_px, size_px, 3) uint8 crops that show what (N, S, S, 3) ones show: area mean down, cubic up."""
    side = crops_rgb.shape[1]
    if side == size_px:
        return crops_rgb
    out = np.empty((len(crops_rgb), size_px, size_px, 3), dtype=np.uint8)
    for row, source in zip(out, crops_rgb, strict=True):
        row[...] = rescale(source, size_px, side)
    return out


def turned(crops_rgb: Pixels, turn: int) -> Pixels:
    """Return (N, S, S, 3) crops as the `turn`th of eight: turned by half (1), mirrored (2), laid on their side (4).

    0 leaves them as they are; 3, 5, 6 and 7 are several of these together.
    """
    out = crops_rgb[:, ::-1, ::-1] if turn & 1 else crops_rgb
    out = out[:, :, ::-1] if turn & 2 else out
    return np.ascontiguousarray(out.transpose(0, 2, 1, 3) if turn & 4 else out)


def prepare(crops_rgb: Pixels, *, colour: Colour = Colour.RGB, denoise: Denoise = Denoise.NONE) -> Pixels:
    """Return (N, H, W, 3) uint8 crops, filtered and converted as a model card asks."""
    if colour is Colour.RGB and denoise is Denoise.NONE:
        return crops_rgb
    out = np.empty_like(crops_rgb)
    for row, source in zip(out, crops_rgb, strict=True):
        row[...] = _converted(_denoised(source, denoise), colour)
    return out


def to_input(crops_u8: Pixels, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Return (N, 3, H, W) float32, C-contiguous: (value / 255 - mean) / std of each channel of (N, H, W, 3).

    Raises ValueError unless the crops have three channels and mean and std three values, std above zero.
    """
    if crops_u8.dtype != np.uint8 or crops_u8.ndim != 4 or crops_u8.shape[3] != 3:
        raise ValueError(f"crops must be (N, H, W, 3) uint8, not {crops_u8.shape} {crops_u8.dtype}")
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError("mean and std need three values each, std above zero")
    number, height, width, _ = crops_u8.shape
    out = np.empty((number, 3, height, width), dtype=np.float32)
    levels = np.arange(256, dtype=np.float64) / 255.0
    for channel in range(3):
        table = ((levels - mean[channel]) / std[channel]).astype(np.float32)
        np.take(table, crops_u8[..., channel], out=out[:, channel], mode="clip")
    return out


def _denoised(image: Pixels, denoise: Denoise) -> Pixels:
    if denoise is Denoise.MEDIAN:
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(image), 3), dtype=np.uint8)
    if denoise is Denoise.GAUSSIAN:
        return np.asarray(cv2.GaussianBlur(image, (3, 3), 0), dtype=np.uint8)
    return image


def _converted(image: Pixels, colour: Colour) -> Pixels:
    if colour is Colour.LAB:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), dtype=np.uint8)
    if colour is Colour.HSV:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), dtype=np.uint8)
    return image
