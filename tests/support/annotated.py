"""Annotated sets as the public ones lie on disk, drawn: folders of pictures, masks and a manifest."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import CellClass
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_FIELDS = ["file", "label", "mask", "group_id", "note"]


def write_sets(folder: Path, *, fields: int = 4) -> None:
    """Write a set of single cells, one of blood fields and one of marrow fields that annotates plasma cells only."""
    smears = [_smear(seed) for seed in range(fields)]
    _write(folder / "wbcseg_d1_jiangxi", [part for smear in smears for part in _single(smear)])
    _write(folder / "bccd_fields", [(smear.rgb, (smear.cells > 0) * np.uint8(255)) for smear in smears])
    _write(folder / "segpc_mm_512", [(smear.rgb, _of(smear, CellClass.PLASMA_CELL)) for smear in smears])


def _smear(seed: int) -> DrawnSmear:
    composition = {CellClass.PLASMA_CELL: 4, CellClass.LYMPHOCYTE: 4}
    return draw_smear(SmearSpec(width_px=334, height_px=300, seed=400 + seed, composition=composition, touching=0.0))


def _of(smear: DrawnSmear, kind: CellClass) -> NDArray[np.uint8]:
    numbers = [number for number, cell in enumerate(smear.truth, start=1) if cell.cell_class is kind]
    return np.isin(smear.cells, numbers) * np.uint8(255)


def _single(smear: DrawnSmear) -> list[Pair]:
    """Return squares about the first cells that lie far enough from the edge; 128 is body, 255 nucleus."""
    levels = np.where(smear.nuclei > 0, 255, np.where(smear.cells > 0, 128, 0)).astype(np.uint8)
    out = []
    for number in range(1, len(smear.truth) + 1):
        rows, columns = (int(index.mean()) for index in np.nonzero(smear.cells == number))
        if 60 <= rows < 240 and 60 <= columns < 274:
            square = np.s_[rows - 60 : rows + 60, columns - 60 : columns + 60]
            own = np.where(smear.cells[square] == number, levels[square], 0).astype(np.uint8)
            out.append((smear.rgb[square], own))
    return out[:2]


def _write(folder: Path, pictures: list[Pair]) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, _FIELDS)
        rows.writeheader()
        for number, (rgb, mask) in enumerate(pictures):
            cv2.imwrite(str(folder / "images" / f"{number}.png"), rgb[..., ::-1])
            cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
            paths = {"file": f"images/{number}.png", "mask": f"masks/{number}.png"}
            rows.writerow({**paths, "label": "", "group_id": f"g{number}", "note": ""})
