"""Drawn slides for tests that go through the whole line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from db.records import CellClass
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid

MIXED: Mapping[CellClass, int] = {
    CellClass.NEUTROPHIL: 30,
    CellClass.LYMPHOBLAST: 40,
    CellClass.ERYTHROBLAST: 15,
    CellClass.PLASMA_CELL: 15,
}


def write_smear(
    path: Path, *, seed: int, side_px: int = 2048, composition: Mapping[CellClass, int] = MIXED, mpp_um: float = 0.25
) -> Path:
    """Draw a smear and write it as a tiled pyramidal TIFF with its scale in the header."""
    spec = SmearSpec(width_px=side_px, height_px=side_px, mpp_um=mpp_um, seed=seed, composition=composition)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, draw_smear(spec).rgb, mpp_um)
    return path
