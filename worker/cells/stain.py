"""What one slide's stain looks like, fitted once per slide and stored in its plan.

Optical density per channel is ln(background / value), so that absorbances add (Ruifrok and Johnston, Anal Quant
Cytol Histol 2001;23:291). In Romanowsky stains (May-Grünwald-Giemsa, Wright, Leishman) nuclei absorb far
more green than blue, whatever their depth, because of the azure B-eosin Y complex on DNA; haemoglobin absorbs blue
at least nearly as much as green. So the nucleus channel is OD green - OD blue, which is also blind to uneven light;
and OD red - OD blue tells cytoplasm (azure, hence red absorbed) from red cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.glass import colour_at, glass_level

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

DEFAULT_NUCLEUS = 0.9
"""Nucleus channel of a medium stain; stands in where a sample shows too few nuclei to fit."""
RED_CELLS_BELOW = 0.35
"""Red cells of every stain seen so far lie below this in the nucleus channel."""
PRESENT_ABOVE = 0.10
"""Least OD green of anything that is not background."""
MIN_NUCLEI_UM2 = 25.0
"""Nuclear area below which a sample's nucleus level is not fitted."""
BLUE_MARGIN = 0.15
"""How far basophilic cytoplasm lies above chromatin in OD red / OD green."""
MIN_RED_CELLS_UM2 = 30.0
"""Area below which a sample is taken to show no red cells."""
CYTOPLASM_UM = 5.0
"""Within this distance of chromatin a faint pixel may be cytoplasm and says nothing of red cells."""
THRESHOLD_AT = 0.40
"""Where the nucleus threshold lies between red cells (0) and nuclei (1)."""
LEAST_THRESHOLD = 0.3
"""Nothing below this in the nucleus channel is chromatin, however pale a sample is."""
_DARKEST_GLASS = 40
"""Darker grey levels are no glass: black margins, ink."""


@dataclass(frozen=True, kw_only=True)
class StainFit:
    """One slide's stain as plain numbers; all but the background are optical densities (natural logarithm)."""

    background_r: float  # 0..255
    background_g: float
    background_b: float
    present_g: float  # OD green above which a pixel is not background
    red_cell: float  # nucleus channel of most red cells
    red_cell_top: float  # and of the most nucleus-like of them
    nucleus: float  # nucleus channel of well stained nuclei
    threshold: float  # nucleus channel above which a pixel may be nuclear
    red_cell_rb: float  # OD red - OD blue below which a faint pixel belongs to a red cell
    red_cell_deep_g: float  # OD green above which a pixel is too deep for one red cell
    blue_from: float  # OD red / OD green above which a pixel is basophilic cytoplasm rather than chromatin
    nuclei_um2: float  # area of chromatin in the sample; below MIN_NUCLEI_UM2 `nucleus` is DEFAULT_NUCLEUS

    @property
    def background(self) -> tuple[int, int, int]:
        """The background colour in whole 8-bit numbers, for pixels outside the slide."""
        return round(self.background_r), round(self.background_g), round(self.background_b)

    def to_json(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, float]) -> StainFit:
        """Return the fit that `to_json` wrote; raises KeyError when a number is absent."""
        return cls(**{field.name: float(document[field.name]) for field in fields(cls)})


@dataclass(frozen=True, kw_only=True, eq=False)
class _Densities:
    """A sample's optical densities, (H, W) per channel."""

    red: Floats
    green: Floats
    blue: Floats
    nuclear: Floats  # green - blue


def fit_stain(sample_rgb: Pixels, mpp_um: float) -> StainFit:
    """Fit a slide's stain on (H, W, 3) uint8 RGB: fields side by side, or a thumbnail, at `mpp_um` µm/px.

    Pixels are judged one by one with little regard to their neighbours, so a mosaic of fields will do. At 1 µm/px
    or finer it serves best; at 3 µm/px nuclei still fill whole pixels; beyond, pale nuclei are lost. A sample
    without nuclei gives a threshold above its red cells all the same.
    """
    background = background_of(sample_rgb)
    density = _densities(sample_rgb, background, mpp_um)
    nuclear = density.nuclear
    present_g = _present(density.green)
    nucleus, nuclei_um2 = _nucleus_level(nuclear[nuclear > RED_CELLS_BELOW], mpp_um)
    red_cells = _red_cells(density, present_g, nucleus, mpp_um)
    red_cell, red_cell_top = _level(nuclear[red_cells])
    strong = nuclear >= 0.8 * nucleus
    numbers = {
        "background_r": background[0],
        "background_g": background[1],
        "background_b": background[2],
        "present_g": present_g,
        "red_cell": red_cell,
        "red_cell_top": red_cell_top,
        "nucleus": nucleus,
        "threshold": max(red_cell + THRESHOLD_AT * (nucleus - red_cell), red_cell_top + 0.05, LEAST_THRESHOLD),
        "red_cell_rb": _red_cell_end((density.red - density.blue)[red_cells]),
        "red_cell_deep_g": np.percentile(density.green[red_cells], 99.0) + 0.05 if red_cells.any() else 0.0,
        "blue_from": _blue_from(density.red[strong], density.green[strong]),
        "nuclei_um2": nuclei_um2,
    }
    return StainFit(**{name: round(float(number), 4) for name, number in numbers.items()})


def background_of(sample_rgb: Pixels) -> Floats:
    """Return the (3,) median colour around the brightest grey level that many pixels share."""
    grey = sample_rgb.mean(axis=2).astype(np.uint8)
    level = glass_level(grey, darkest=_DARKEST_GLASS, share=0.25)
    colour = colour_at(sample_rgb, grey, 255 if level is None else level)
    return np.full(3, 255.0) if colour is None else colour


def optical_density(image_rgb: Pixels, background: Floats) -> Floats:
    """Return ln(background / value), -0.5..2.6, of (..., 3) uint8, or of (N, 1) uint8 for each channel alike."""
    return np.clip(np.log((background + 1.0) / (image_rgb + 1.0)), -0.5, 2.6)


def _densities(sample_rgb: Pixels, background: Floats, mpp_um: float) -> _Densities:
    # At fine scales single pixels are noisy; at coarse ones there is nothing to smooth.
    sigma_px = min(2.0, 0.25 / mpp_um)
    smooth = cv2.GaussianBlur(sample_rgb, (0, 0), sigma_px) if sigma_px > 0.3 else sample_rgb
    tables = optical_density(np.arange(256, dtype=np.uint8)[:, None], background).astype(np.float32)
    red, green, blue = (tables[:, i][smooth[..., i]] for i in range(3))
    return _Densities(red=red, green=green, blue=blue, nuclear=green - blue)


def _red_cells(density: _Densities, present_g: float, nucleus: float, mpp_um: float) -> NDArray[np.bool_]:
    """Return the faint pixels far from chromatin, where no cytoplasm is; none when they are too few to tell."""
    chromatin = density.nuclear >= max(RED_CELLS_BELOW, 0.5 * nucleus)
    size = 2 * max(1, round(CYTOPLASM_UM / mpp_um)) + 1
    near = cv2.dilate(chromatin.astype(np.uint8), np.ones((size, size), np.uint8))
    faint = density.nuclear < max(0.25, 0.4 * nucleus)
    found = (density.green > present_g) & faint & (np.asarray(near) == 0)
    return found if np.count_nonzero(found) * mpp_um**2 >= MIN_RED_CELLS_UM2 else np.zeros_like(found)


def _present(green: Floats) -> float:
    """Return the OD green that background noise does not reach."""
    glass = green[np.abs(green) < PRESENT_ABOVE]
    spread = 1.4826 * float(np.median(np.abs(glass - np.median(glass)))) if len(glass) else 0.0
    return float(np.clip(4.0 * spread, 0.6 * PRESENT_ABOVE, 1.5 * PRESENT_ABOVE))


def _level(values: Floats) -> tuple[float, float]:
    """Return the mode and the upper end of a sample; zeros when it is empty."""
    if not len(values):
        return 0.0, 0.0
    counts, centres = _histogram(values)
    mode = float(centres[int(counts.argmax())])
    return mode, max(mode + 0.03, float(np.percentile(values, 97.0)))


def _red_cell_end(values: Floats) -> float:
    """Return where red cells end in OD red - OD blue: the lowest mode there is theirs, cytoplasm lies above."""
    if not len(values):
        return 0.0
    counts, centres = _histogram(values)
    highest = np.array([counts[max(0, i - 6) : i + 7].max() for i in range(len(counts))])
    lowest = int(np.flatnonzero((counts == highest) & (counts >= 0.25 * counts.max()))[0])
    mode = float(centres[lowest])
    below = values[values <= mode]
    spread = float(np.sqrt(np.mean((below - mode) ** 2))) if len(below) else 0.0
    # Where a red cell is thin its difference nears zero, be it from below.
    return max(0.0, mode + float(np.clip(2.0 * spread, 0.05, 0.15)))


def _histogram(values: Floats) -> tuple[Floats, Floats]:
    """Return smoothed counts in steps of 0.01 and the steps' centres."""
    counts, edges = np.histogram(values, bins=np.arange(-3.1, 3.11, 0.01))
    return np.convolve(counts, np.ones(7) / 7.0, "same"), edges[:-1] + 0.005


def _blue_from(red: Floats, green: Floats) -> float:
    """Return where cytoplasm begins in OD red / OD green, from the pixels of well stained chromatin."""
    usual = float(np.median(red / np.maximum(green, 0.05))) if len(red) else 0.65
    return float(np.clip(usual + BLUE_MARGIN, 0.78, 0.95))


def _nucleus_level(values: Floats, mpp_um: float) -> tuple[float, float]:
    """Return the nucleus channel of well stained nuclei and the area of chromatin that it rests on, in µm²."""
    area_um2 = len(values) * mpp_um**2
    return (DEFAULT_NUCLEUS if area_um2 < MIN_NUCLEI_UM2 else float(np.percentile(values, 85.0))), area_um2
