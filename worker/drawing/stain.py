"""Colours of one stained and photographed slide: May-Grünwald-Giemsa and its usual variation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from worker.drawing.grid import Field

Rgb = tuple[float, float, float]


class Dye(StrEnum):
    """What takes up colour."""

    CHROMATIN = "chromatin"  # nuclei: purple
    RNA = "rna"  # basophilic cytoplasm: blue
    EOSIN = "eosin"  # acidophilic cytoplasm: pink
    EOSINOPHIL = "eosinophil"  # eosinophil granules: orange
    AZURE = "azure"  # azurophil and basophil granules: red-violet to near black
    HAEM = "haem"  # red cells: pink to grey


_USUAL: Mapping[Dye, Rgb] = {
    Dye.CHROMATIN: (1.10, 2.00, 0.50),
    Dye.RNA: (0.70, 0.76, 0.21),
    Dye.EOSIN: (0.17, 0.38, 0.25),
    Dye.EOSINOPHIL: (0.27, 0.84, 0.70),
    Dye.AZURE: (1.00, 1.95, 0.62),
    Dye.HAEM: (0.22, 0.32, 0.23),
}
"""Natural-log absorbance per channel at full strength, read off public smear photographs."""

_BACKGROUNDS: tuple[Rgb, ...] = ((252, 232, 210), (238, 236, 242), (226, 218, 228), (212, 212, 216), (250, 246, 238))


@dataclass(frozen=True, kw_only=True)
class Stain:
    """Dyes, light and focus of one slide."""

    background: Rgb  # RGB of the empty glass, 0..255
    dyes: Mapping[Dye, Rgb]
    blur_um: float  # deviation of the point spread in best focus
    defocus_um: float  # further deviation where the slide lies out of focus
    shading: float  # depth of uneven light, share of the background
    grain: float  # deviation of the camera's noise, grey levels

    @classmethod
    def usual(cls) -> Self:
        """Return the middle of the range, without variation."""
        return cls(background=(246.0, 234.0, 222.0), dyes=_USUAL, blur_um=0.18, defocus_um=0.2, shading=0.03, grain=1.2)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """Return the stain of some slide of some laboratory."""
        base = np.array(_BACKGROUNDS[int(rng.integers(len(_BACKGROUNDS)))])
        background = np.clip(base * rng.uniform(0.94, 1.02) * rng.uniform(0.985, 1.015, 3), 0, 255)
        tint = rng.normal(1.0, 0.05, 3)  # one camera and one buffer shift all dyes alike
        dyes = {dye: _vary(rng, np.array(od) * tint) for dye, od in _USUAL.items()}
        dyes[Dye.CHROMATIN] = _ripened(rng, dyes[Dye.CHROMATIN])
        dyes[Dye.RNA] = _rgb(np.array(dyes[Dye.RNA]) * np.array([1.0, rng.uniform(0.85, 1.12), 1.0]))
        dyes[Dye.HAEM] = _red_cells(rng, dyes[Dye.HAEM])
        return cls(
            background=_rgb(background),
            dyes=dyes,
            blur_um=float(rng.uniform(0.14, 0.26)),
            defocus_um=float(rng.uniform(0.08, 0.34)),
            shading=float(rng.uniform(0.01, 0.06)),
            grain=float(rng.uniform(0.6, 1.8)),
        )

    def absorb(self, inks: Mapping[Dye, Field]) -> NDArray[np.float32]:
        """Return the light share (h, w, 3) float32 that passes dyes of given strength per pixel."""
        fields = np.stack(list(inks.values()), axis=-1)
        colours = np.array([self.dyes[dye] for dye in inks], dtype=np.float32)
        passed: NDArray[np.float32] = np.exp(-(fields @ colours))
        return passed

    def lit(self, passed: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the colours (h, w, 3) uint8 RGB of light shares before the empty glass."""
        lit = np.clip(passed * np.array(self.background, np.float32) + 0.5, 0, 255)
        return np.asarray(lit, dtype=np.uint8)


def _vary(rng: np.random.Generator, absorbance: NDArray[np.float64]) -> Rgb:
    return _rgb(absorbance * rng.uniform(0.9, 1.14) * rng.normal(1.0, 0.03, 3))


def _ripened(rng: np.random.Generator, absorbance: Rgb) -> Rgb:
    """Nuclei go from blue to red-violet with the share of azure B in the dye."""
    return _rgb(np.array(absorbance) * np.array([rng.uniform(0.74, 1.2), 1.0, rng.uniform(0.9, 1.35)]))


def _red_cells(rng: np.random.Generator, absorbance: Rgb) -> Rgb:
    """Red cells go from pink to blue-grey with the buffer's pH."""
    grey = np.full(3, float(np.mean(absorbance))) * np.array([1.12, 0.98, 0.86])
    share = float(rng.beta(1.1, 2.8))
    return _rgb((1 - share) * np.array(absorbance) + share * grey)


def _rgb(values: NDArray[np.float64]) -> Rgb:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
