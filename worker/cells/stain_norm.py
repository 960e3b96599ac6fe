"""Brings the colours of one slide to those of a reference stain, for models whose card asks for it (STAIN_ANCHORS).

In optical density, where dyes add up, colour is moved by one 3 x 3 matrix per slide, fitted to robust anchors:
chromatin, red cells and basophilic cytoplasm go to where the reference has them, glass to the reference's glass.
Methods made for haematoxylin and eosin (Macenko et al., ISBI 2009:1107) look for two dye vectors at the ends of the
distribution of pixels. A Romanowsky stain has no such two ends: azure B, eosin Y and their complex on DNA make purple,
blue and pink, and haemoglobin absorbs by itself (Horobin, Biotech Histochem 2011;86:36), so the vectors found there
change with the cells that happen to lie in the sample. Anchors that are recognised first do not.

The reference goes with that name: another reference needs another name, for weights are trained under one.

Three anchors nearly in one plane would leave a matrix to chance: it is the ridge solution nearest to the identity,
and neither strengthens nor weakens any colour by more than MAX_GAIN. Too few nuclei or no red cells: identity.
Everything is integer arithmetic, so a pixel comes out the same alone, in a crop and in a tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.cells.stain import Floats, Pixels, fit_stain, optical_density
from worker.cells.stain_profile import StainProfile, measure
from worker.nets.cards import STAIN_ANCHORS

Triple = tuple[float, float, float]

REFERENCE = StainProfile(
    background=(236.0, 228.0, 220.0),
    nucleus=(0.81, 1.45, 0.34),
    red_cell=(0.19, 0.25, 0.155),
    cytoplasm=(0.33, 0.35, 0.12),
)
"""About the middle of eight public sets of blood and marrow smears from seven laboratories."""
MAX_GAIN = 2.0
RIDGE = 0.2
_SCALE = 1024
_DENSEST = 4 * _SCALE


@dataclass(frozen=True, kw_only=True)
class StainNorm:
    """A slide's way to the reference stain, as plain numbers."""

    from_background: Triple
    to_background: Triple
    matrix: tuple[int, ...]  # 9 numbers, rows first, in 1024ths: densities of the reference from those of the slide

    @property
    def is_identity(self) -> bool:
        """Whether pixels stay as they are."""
        return self.from_background == self.to_background and self.matrix == _IDENTITY

    def to_json(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {
            "from_background": list(self.from_background),
            "to_background": list(self.to_background),
            "matrix": list(self.matrix),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StainNorm:
        """Return what `to_json` wrote; raises KeyError or ValueError when it is something else."""
        red, green, blue = (float(value) for value in document["from_background"])
        to_red, to_green, to_blue = (float(value) for value in document["to_background"])
        matrix = tuple(int(value) for value in document["matrix"])
        if len(matrix) != 9:
            raise ValueError("a matrix has 9 numbers")
        return cls(from_background=(red, green, blue), to_background=(to_red, to_green, to_blue), matrix=matrix)

    def apply(self, rgb: Pixels) -> Pixels:
        """Return (..., 3) uint8 RGB in the reference's colours."""
        if self.is_identity:
            return rgb
        inwards, outwards = self._tables()
        density = [inwards[channel][rgb[..., channel]] for channel in range(3)]
        out = np.empty_like(rgb)
        for channel in range(3):
            row = self.matrix[3 * channel : 3 * channel + 3]
            mixed = sum(weight * part for weight, part in zip(row, density, strict=True)) // _SCALE
            out[..., channel] = outwards[channel][np.clip(mixed, -_SCALE, _DENSEST - 1) + _SCALE]
        return out

    def _tables(self) -> tuple[NDArray[np.int32], Pixels]:
        """Return (3, 256) densities of values, and (3, 5120) values of densities from -1."""
        values = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        inwards = np.rint(optical_density(values, np.array(self.from_background)) * _SCALE).astype(np.int32).T
        densities = np.arange(-_SCALE, _DENSEST) / _SCALE
        light = (np.array(self.to_background)[:, None] + 1.0) * np.exp(-densities) - 1.0
        return inwards, np.clip(np.rint(light), 0, 255).astype(np.uint8)


_IDENTITY = (_SCALE, 0, 0, 0, _SCALE, 0, 0, 0, _SCALE)
IDENTITY = StainNorm(from_background=(255.0,) * 3, to_background=(255.0,) * 3, matrix=_IDENTITY)
"""Leaves pixels as they are."""


def norm_for(profile: StainProfile, method: str) -> StainNorm:
    """Return the way from a slide's profile to the reference by the method that a card names; IDENTITY for none."""
    return fit_norm(profile) if method == STAIN_ANCHORS else IDENTITY


def own_norm(picture_rgb: Pixels, mpp_um: float, method: str) -> StainNorm:
    """Return the way to the reference of one (H, W, 3) uint8 RGB picture by itself, where no slide is known.

    A field or a picture of one cell is its own sample. One that shows less than 50 µm² of chromatin or of red cells,
    as a cell cut out closely does, is left as it is, whatever pictures came with it.
    """
    if method != STAIN_ANCHORS:
        return IDENTITY
    return norm_for(measure(picture_rgb, mpp_um, fit_stain(picture_rgb, mpp_um)), method)


def fit_norm(profile: StainProfile, reference: StainProfile = REFERENCE) -> StainNorm:
    """Return the way from a slide's profile to the reference; IDENTITY without chromatin or red cells to go by."""
    if profile.nucleus is None or profile.red_cell is None:
        return IDENTITY
    pairs = [
        (np.array(ours), np.array(theirs))
        for ours, theirs in (
            (profile.nucleus, reference.nucleus),
            (profile.red_cell, reference.red_cell),
            (profile.cytoplasm, reference.cytoplasm),
        )
        if ours is not None and theirs is not None
    ]
    lengths = [max(0.05, float(np.linalg.norm(ours))) for ours, _ in pairs]
    ours = np.stack([one / length for (one, _), length in zip(pairs, lengths, strict=True)], axis=1)
    theirs = np.stack([other / length for (_, other), length in zip(pairs, lengths, strict=True)], axis=1)
    ridge = RIDGE * np.eye(3)
    matrix = (theirs @ ours.T + ridge) @ np.linalg.inv(ours @ ours.T + ridge)
    return StainNorm(
        from_background=profile.background,
        to_background=reference.background,
        matrix=tuple(int(value) for value in np.rint(_bounded(matrix) * _SCALE).ravel()),
    )


def _bounded(matrix: Floats) -> Floats:
    """Return the matrix with its gains held between 1 / MAX_GAIN and MAX_GAIN."""
    left, gains, right = np.linalg.svd(matrix)
    return np.asarray((left * np.clip(gains, 1 / MAX_GAIN, MAX_GAIN)) @ right)
