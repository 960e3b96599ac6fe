"""Changes a crop the way microscopes, stains and scanners change it, so that none of them becomes a clue.

Every change is drawn from the given generator: the same seed gives the same crop. Colour changes are wide on
purpose, because in the public sets a class often comes from one laboratory only.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_Change = Callable[[Pixels, Generator], Pixels]


def augmented(crop: Pixels, context: Pixels, out_px: int, rng: Generator, *, colour: float = 1.0) -> Pixels:
    """Return an (out_px, out_px, 3) uint8 RGB variant of a larger crop.

    `context` is another crop, of any class, whose surroundings may replace this one's. The middle of the crop stays
    in the middle, within 5 px. `colour` says how far colours change: less than 1 where training and use share a stain.
    """
    out = _moved(crop, out_px, rng)
    if rng.random() < 0.2:
        out = _in_other_surroundings(out, _moved(context, out_px, rng), rng)
    return degraded(_restained(out, colour, rng), rng)


def degraded(picture: Pixels, rng: Generator) -> Pixels:
    """Return (H, W, 3) uint8 of the same size, at times blurred, coarser, sharpened, noisier or coded anew."""
    out = picture
    for chance, change in _DEGRADATIONS:
        if rng.random() < chance:
            out = change(out, rng)
    return out


def centred(crop: Pixels, out_px: int) -> Pixels:
    """Return the middle (out_px, out_px, 3) of a crop, as inference would cut it."""
    start = crop.shape[0] // 2 - out_px // 2
    return crop[start : start + out_px, start : start + out_px]


def _moved(crop: Pixels, out_px: int, rng: Generator) -> Pixels:
    """Turn by any angle, mirror, scale by up to a seventh (µm/px is often an estimate), shift by up to 5 px."""
    angle = rng.uniform(0, 2 * np.pi)
    scale_x, scale_y = np.exp(rng.uniform(-0.12, 0.12) + rng.uniform(-0.04, 0.04, size=2))
    mirror = -1 if rng.random() < 0.5 else 1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([mirror * scale_x, scale_y])
    middle_in, middle_out = crop.shape[0] // 2, out_px // 2
    shift = middle_out + rng.uniform(-5, 5, size=2) - matrix @ np.array([middle_in, middle_in])
    affine = np.column_stack([matrix, shift])
    return np.asarray(
        cv2.warpAffine(crop, affine, (out_px, out_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
        dtype=np.uint8,
    )


def _in_other_surroundings(crop: Pixels, context: Pixels, rng: Generator) -> Pixels:
    """Keep a disc around the cell and take the rest from another crop, or from one plain colour."""
    size = crop.shape[0]
    radius = rng.uniform(0.36, 0.5) * size
    rows, columns = np.ogrid[:size, :size]
    distance = np.hypot(rows - size // 2, columns - size // 2)
    kept = np.clip((radius - distance) / 3 + 0.5, 0, 1)[..., None]
    outside = context if rng.random() < 0.6 else np.percentile(crop, rng.uniform(60, 98), axis=(0, 1))
    return np.asarray(crop * kept + outside * (1 - kept), dtype=np.uint8)


def _restained(crop: Pixels, strength: float, rng: Generator) -> Pixels:
    """Mix and scale the optical densities of the three channels, then tint the light."""
    density = -np.log((crop.astype(np.float32) + 1) / 256)
    mixing = np.eye(3) + strength * rng.normal(0, 0.05, (3, 3))
    mixing *= np.exp(strength * rng.normal(0, 0.09, 3)) * np.exp(strength * rng.normal(0, 0.12))
    light = np.exp(strength * (rng.normal(0, 0.05, 3) + min(0.05, rng.normal(0, 0.08))))
    changed = 256 * light * np.exp(-np.maximum(density @ mixing.astype(np.float32), 0)) - 1
    out = np.clip(changed, 0, 255).astype(np.uint8)
    return _hue_shifted(out, rng) if rng.random() < 0.4 * strength else out


def _hue_shifted(crop: Pixels, rng: Generator) -> Pixels:
    hsv = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-8, 8)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.4), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), dtype=np.uint8)


def _blurred(crop: Pixels, rng: Generator) -> Pixels:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 1.3)), dtype=np.uint8)


def _coarsened(crop: Pixels, rng: Generator) -> Pixels:
    """Lose resolution, as a field taken at a lower magnification has."""
    height, width = crop.shape[:2]
    share = rng.uniform(0.45, 0.9)
    size = max(8, round(width * share)), max(8, round(height * share))
    low = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(low, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _sharpened(crop: Pixels, rng: Generator) -> Pixels:
    soft = cv2.GaussianBlur(crop, (0, 0), 1.5)
    amount = rng.uniform(0.3, 1.2)
    return np.asarray(cv2.addWeighted(crop, 1 + amount, soft, -amount, 0), dtype=np.uint8)


def _noisy(crop: Pixels, rng: Generator) -> Pixels:
    noise = rng.normal(0, rng.uniform(1, 8), crop.shape)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def _jpeg(crop: Pixels, rng: Generator) -> Pixels:
    _, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)


_DEGRADATIONS: tuple[tuple[float, _Change], ...] = (
    (0.25, _blurred),
    (0.15, _coarsened),
    (0.15, _sharpened),
    (0.15, _noisy),
    (0.25, _jpeg),
)
