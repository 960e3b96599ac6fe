"""A drawn smear with everything that spoils places of real ones, and where each lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from db.records import CellClass
from worker.drawing import artefacts
from worker.drawing.field import empty_glass, photograph
from worker.drawing.grid import Field, Pixels, f32, smooth_noise
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.drawing.stain import Stain

WIDTH_PX, HEIGHT_PX = 3200, 2240
_MPP_UM = 0.25

_CELLS = {
    CellClass.NEUTROPHIL: 90,
    CellClass.ERYTHROBLAST: 70,
    CellClass.IMMATURE_GRANULOCYTE: 58,
    CellClass.LYMPHOCYTE: 42,
    CellClass.EOSINOPHIL: 10,
    CellClass.MONOCYTE: 5,
    CellClass.PLASMA_CELL: 12,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SpoiltSmear:
    """The picture, the smear below, and the places that are spoilt."""

    rgb: Pixels = field(repr=False)
    smear: DrawnSmear
    places: Mapping[str, Field] = field(repr=False)  # (h, w) each, 1 inside: glass, clot, blur, bubble, pen


def draw_spoilt(*, seed: int) -> SpoiltSmear:
    """Draw a film of 0.25 µm/px that ends on the right, with a clot, blur, an air bubble and a pen's stroke."""
    shape = (HEIGHT_PX, WIDTH_PX)
    rng = np.random.default_rng([seed, 9])
    stain = Stain.usual()
    drawn = draw_smear(
        SmearSpec(
            width_px=WIDTH_PX, height_px=HEIGHT_PX, seed=seed, composition=_CELLS, stain=stain, red_cells_per_mm2=9000.0
        )
    )
    bare = photograph(empty_glass(shape, stain, rng, _MPP_UM), stain, rng, _MPP_UM)
    glass = _beyond_the_film(rng)
    clot = artefacts.patch(shape, (620, 590), 420, seed=seed)
    blur = artefacts.patch(shape, (1850, 1570), 430, seed=seed + 1)
    film = np.asarray(cv2.blendLinear(bare, drawn.rgb, glass, 1 - glass), dtype=np.uint8)
    picture = artefacts.layered(film, clot, layers=9)
    picture = artefacts.defocused(picture, blur, sigma_px=11)
    picture = artefacts.bubbled(picture, (2125, 590), radius_px=310, rim_px=64)
    marked = artefacts.inked(picture, [(190, 1590), (590, 1810), (950, 1740), (1100, 2050)], pen="green", width_px=160)
    return SpoiltSmear(
        rgb=marked,
        smear=drawn,
        places={
            "glass": glass,
            "clot": clot,
            "blur": blur,
            "bubble": artefacts.disc(shape, (2125, 590), 342),
            "pen": f32(np.abs(marked.astype(np.int16) - picture).max(axis=2) > 12),
        },
    )


def _beyond_the_film(rng: np.random.Generator) -> Field:
    """Return (h, w) float32: 0 on the film, 1 on the bare glass to the right of its wavy end."""
    down = np.linspace(0, 5, HEIGHT_PX, dtype=np.float32)[:, None]
    end = 2680 + 110 * np.sin(down) + 50 * smooth_noise(rng, (HEIGHT_PX, 1), 200.0)
    return f32(np.clip((np.arange(WIDTH_PX)[None, :] - end) / 40 + 0.5, 0, 1))
