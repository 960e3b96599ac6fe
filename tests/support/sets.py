"""Small made-up data sets on disk: discs for nuclei, in the trees in which the public sets are published."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.segment import CellMask, fit_stain, segment
from worker.training.classification.data import MPP_UM
from worker.training.classification.sources import Sight

Pixels = NDArray[np.uint8]
PURPLE = (90, 40, 120)


def discs(side_px: int, *centres: tuple[int, int], radius_px: int = 14, glass: int = 230) -> Pixels:
    """Return a square picture with a dark disc at each (x, y)."""
    picture = np.full((side_px, side_px, 3), glass, dtype=np.uint8)
    for centre in centres:
        cv2.circle(picture, centre, radius_px, PURPLE, -1)
    return picture


def disc_mask(side_px: int, *centres: tuple[int, int], radius_px: int = 14, value: int = 255) -> Pixels:
    """Return (H, W) with a value inside the discs and 0 outside."""
    return np.where(discs(side_px, *centres, radius_px=radius_px)[..., 1] < 100, value, 0).astype(np.uint8)


def find(picture: Pixels) -> list[CellMask]:
    """Return each dark disc as a cell whose whole body is nucleus."""
    dark = (picture.mean(axis=2) < 150).astype(np.uint8)
    number, labels, boxes, _ = cv2.connectedComponentsWithStats(dark)
    return [_cell(labels, boxes[n], n) for n in range(1, number) if boxes[n][4] > 30]


def classical(picture: Pixels) -> list[CellMask]:
    """Return the cells of a drawn picture at MPP_UM as the segmenter without weights finds them."""
    return segment(picture, fit_stain(picture, MPP_UM), MPP_UM)


SIGHT, CLASSICAL = Sight(find=find), Sight(find=classical)


def write(path: Path, picture: Pixels) -> Path:
    """Write a picture, RGB or grey, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
    return path


def snam_tree(folder: Path, *, fields: int) -> Path:
    """Write SN-AM's tree: fields of one large cell under ALL and under MM, no two of them alike."""
    rng = np.random.default_rng(5)
    for kind in ("ALL", "MM"):
        for number in range(fields):
            picture = discs(600) - cv2.resize(rng.integers(0, 70, (60, 60, 3), dtype=np.uint8), (600, 600))
            axes, angle = rng.integers(60, 120, 2).tolist(), float(rng.integers(180))
            cv2.ellipse(picture, (300, 300), axes, angle, 0, 360, PURPLE, -1)
            write(folder / kind / f"{number}_{kind}.bmp", np.asarray(picture, dtype=np.uint8))
    return folder


def write_manifest(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write manifest.csv with the columns that the rows have."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _cell(labels: NDArray[np.int32], box: NDArray[np.int32], number: int) -> CellMask:
    x, y, width, height, count = map(int, box)
    mask = labels[y : y + height, x : x + width] == number
    rows, columns = np.nonzero(mask)
    sums = int((columns + x).sum()), int((rows + y).sum())
    return CellMask(x_tile=x, y_tile=y, nucleus=mask, cell=mask, sum_x=sums[0], sum_y=sums[1], count=count, lobes=1)
