"""A slide's stain as a short vector of named numbers, and how far it lies from those of a laboratory's earlier slides.

Optical densities (natural logarithm, against the slide's own glass) of what every smear shows: chromatin, red cells
and basophilic cytoplasm. Medians of many pixels, so that single cells do not move them. A component that the sample
does not show is absent (None), never a stand-in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.stain import CYTOPLASM_UM, RED_CELLS_BELOW, Floats, Pixels, StainFit, optical_density

NAMES = (
    "background_r", "background_g", "background_b",
    "nucleus_r", "nucleus_g", "nucleus_b",
    "red_cell_r", "red_cell_g", "red_cell_b",
    "cytoplasm_r", "cytoplasm_g", "cytoplasm_b",
)  # fmt: skip
"""The components in order, for ever: new ones are added at the end."""
MIN_AREA_UM2 = 50.0
"""Area below which a component is absent: that of one nucleus."""
FLOORS = (6.0,) * 3 + (0.06,) * 3 + (0.03,) * 3 + (0.05,) * 3
"""Least deviation per component, in its unit: slides stained in one batch differ by about as much."""
LEAST_SLIDES = 20
"""Earlier slides of a laboratory without which there is no drift to speak of."""

Profile = tuple[float | None, ...]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class StainProfile:
    """The medians of one slide's sample; densities are of red, green and blue."""

    background: tuple[float, float, float]  # 0..255
    nucleus: tuple[float, float, float] | None
    red_cell: tuple[float, float, float] | None
    cytoplasm: tuple[float, float, float] | None  # basophilic only

    def components(self) -> Profile:
        """Return the numbers in the order of NAMES, None where the sample does not show a thing."""
        absent = (None, None, None)
        parts = (self.background, self.nucleus or absent, self.red_cell or absent, self.cytoplasm or absent)
        return tuple(number for part in parts for number in part)

    def named(self) -> dict[str, float]:
        """Return the numbers that the sample shows, by name."""
        pairs = zip(NAMES, self.components(), strict=True)
        return {name: number for name, number in pairs if number is not None}


def measure(sample_rgb: Pixels, mpp_um: float, fit: StainFit) -> StainProfile:
    """Return the profile of the (H, W, 3) uint8 RGB sample from which `fit` was made, at `mpp_um` µm/px."""
    background = np.array([fit.background_r, fit.background_g, fit.background_b])
    sigma_px = min(2.0, 0.25 / mpp_um)
    smooth = np.asarray(cv2.GaussianBlur(sample_rgb, (0, 0), sigma_px) if sigma_px > 0.3 else sample_rgb, np.uint8)
    density = optical_density(smooth, background)
    red, green, blue = (density[..., channel] for channel in range(3))
    azure = np.maximum(red - fit.blue_from * green, 0.0)  # as in channels.channels: cytoplasm, not chromatin
    nuclear = green - blue - 2.0 * azure
    chromatin = nuclear >= max(RED_CELLS_BELOW, fit.threshold)
    near = _grown(chromatin, round(CYTOPLASM_UM / mpp_um))
    faint = (green > fit.present_g) & (nuclear < min(fit.threshold, RED_CELLS_BELOW))
    basophilic = faint & near & (azure > 0.0) & (red - blue > fit.red_cell_rb)
    least_px = MIN_AREA_UM2 / mpp_um**2
    return StainProfile(
        background=(fit.background_r, fit.background_g, fit.background_b),
        nucleus=_median(density, chromatin & ~_grown(~chromatin, round(0.5 / mpp_um)), least_px),
        red_cell=_median(density, faint & ~near, least_px),
        cytoplasm=_median(density, basophilic, least_px),
    )


def drift(profile: Profile, earlier: Sequence[Profile]) -> float | None:
    """Return how far a profile lies from earlier ones, in robust deviations; None with too few earlier ones.

    Per component, (value - median) / greatest of 1.4826 * median absolute deviation and floor; then the root of the
    mean square over the components that the profile has and at least LEAST_SLIDES earlier ones have. About 1 is
    usual; `report.stain_drift` computes the same in SQL.
    """
    squares = []
    for place, (value, floor) in enumerate(zip(profile, FLOORS, strict=True)):
        known = [other for one in earlier if (other := one[place]) is not None]
        if value is None or len(known) < LEAST_SLIDES:
            continue
        middle = float(np.median(known))
        deviation = max(1.4826 * float(np.median(np.abs(np.array(known) - middle))), floor)
        squares.append(((value - middle) / deviation) ** 2)
    return float(np.sqrt(np.mean(squares))) if squares else None


def _grown(mask: Mask, by_px: int) -> Mask:
    size = 2 * max(1, by_px) + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8))) > 0


def _median(density: Floats, where: Mask, least_px: float) -> tuple[float, float, float] | None:
    if np.count_nonzero(where) < least_px:
        return None
    red, green, blue = (round(float(value), 4) for value in np.median(density[where], axis=0))
    return red, green, blue
