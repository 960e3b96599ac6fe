"""Row 30: a slide of which one tile was overwritten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from db.records import CellClass
from tests.faults.rig import Rig
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid

_SIDE_PX, _TILE_PX = 2048, 64
"""A torn tile spoils the few tiles of the reading that touch it, and these are to be less than a twentieth of all."""
_CELLS = {CellClass.NEUTROPHIL: 60, CellClass.LYMPHOBLAST: 60}
_BESIDE_PX = 64.0
"""A cell so far from every defect lies in no tile that could not be read."""
_SAME_PX = 0.3
"""The stain is fitted to what can be read, which moves an outline by a hair."""
_DEFECTS = "SELECT x_l0, y_l0, width_l0, height_l0, code FROM tile_defect ORDER BY batch_no, tile_no"
_FOUND = (
    "SELECT key, cell_class, round(x_l0::numeric, 1)::float AS x, round(y_l0::numeric, 1)::float AS y FROM report.cells"
)


def torn_tile(rig: Rig) -> None:
    """Row 30: the same slide whole and torn; every cell away from the torn tile is found alike in both."""
    whole = _drawn(rig.folder / "drawn.tif")
    rig.line("worker")
    keys = [
        rig.upload_bytes("torn", _overwritten(whole)),
        rig.upload_bytes("bystander", whole.read_bytes(), patient="other"),
    ]
    rig.settled()
    states = rig.rows("SELECT state, attempt FROM run")
    assert states == [{"state": "done", "attempt": 1}] * 2, states
    defects = rig.rows(_DEFECTS)
    assert {row["code"] for row in defects} == {"unreadable_region"}, defects
    torn, sound = (_cells_beside(rig, key, defects) for key in keys)
    assert torn, "no cell was found away from the torn tile"
    other = [cell for cell in sound if sum(_alike(cell, found) for found in torn) != 1]
    assert len(torn) == len(sound), f"{len(torn)} cells of {len(sound)}"
    assert not other, f"read otherwise than in the whole slide: {other}"
    rig.note(f"{len(defects)} tiles noted, {len(torn)} cells beside them read as in the whole slide")


def _drawn(path: Path) -> Path:
    smear = draw_smear(SmearSpec(width_px=_SIDE_PX, height_px=_SIDE_PX, seed=4, composition=_CELLS))
    write_pyramid(path, smear.rgb, 0.25, tile_px=_TILE_PX)
    return path


def _overwritten(whole: Path) -> bytes:
    """Return the slide with random bytes in place of the tile in the middle of its first level."""
    content = bytearray(whole.read_bytes())
    with tifffile.TiffFile(whole) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        number = len(page.dataoffsets) // 2 + _SIDE_PX // _TILE_PX // 2
        start, size = page.dataoffsets[number], page.databytecounts[number]
    content[start : start + size] = np.random.default_rng(30).bytes(size)
    return bytes(content)


def _cells_beside(rig: Rig, key: str, defects: Sequence[dict[str, Any]]) -> list[tuple[str, float, float]]:
    cells = ((row["cell_class"], row["x"], row["y"]) for row in rig.rows(_FOUND) if row["key"] == key)
    return [cell for cell in cells if not any(_near(cell[1], cell[2], box) for box in defects)]


def _alike(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    return one[0] == other[0] and math.dist(one[1:], other[1:]) <= _SAME_PX


def _near(x: float, y: float, box: dict[str, Any]) -> bool:
    return bool(
        box["x_l0"] - _BESIDE_PX <= x <= box["x_l0"] + box["width_l0"] + _BESIDE_PX
        and box["y_l0"] - _BESIDE_PX <= y <= box["y_l0"] + box["height_l0"] + _BESIDE_PX
    )
