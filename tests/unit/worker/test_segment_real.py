"""Segmentation on real images; needs MARROWLINE_DATA, the folder that holds the public image sets."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.cells.preprocess import rescale
from worker.cells.segment import CellMask, fit_stain, segment
from worker.cells.stain import Pixels

DATA = Path(os.environ.get("MARROWLINE_DATA", ""))
MPP_UM = 0.25
FRAME_PX = 16

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("MARROWLINE_DATA" not in os.environ, reason="MARROWLINE_DATA names no image sets"),
]

Truth = NDArray[np.uint8]


def fields(name: str, mpp_um: float, every: int = 1) -> Iterator[tuple[list[CellMask], Truth]]:
    """Yield the cells of each image, and its mask in the same pixels: the image in a frame of background."""
    with (DATA / name / "manifest.csv").open(encoding="utf-8") as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["mask"]]
    for row in rows[::every]:
        image = rescale(read(DATA / name / row["file"]), mpp_um, MPP_UM)
        fit = fit_stain(image, MPP_UM)
        size = (image.shape[1], image.shape[0])
        truth = cv2.resize(read(DATA / name / row["mask"])[..., 0], size, interpolation=cv2.INTER_NEAREST)
        framed = framed_by(image, fit.background)
        yield segment(framed, fit, MPP_UM), framed_by(np.asarray(truth, np.uint8), (0, 0, 0))


def read(path: Path) -> Pixels:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None, f"{path} cannot be read"
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def framed_by(image: Pixels, colour: tuple[int, int, int]) -> Pixels:
    border = (FRAME_PX, FRAME_PX, FRAME_PX, FRAME_PX)
    return np.asarray(cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT, value=colour), np.uint8)


def painted(cells: list[CellMask], truth: Truth) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the nuclei and the cells that overlap the truth: other cells of a crop are not in it."""
    nuclei, bodies = np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    for cell in cells:
        place = np.s_[cell.y_tile : cell.y_tile + cell.cell.shape[0], cell.x_tile : cell.x_tile + cell.cell.shape[1]]
        if np.count_nonzero(cell.nucleus & (truth[place] > 0)) > 0.3 * cell.count:
            nuclei[place] |= cell.nucleus
            bodies[place] |= cell.cell
    return nuclei, bodies


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth)))


@pytest.mark.parametrize(
    ("name", "mpp_um", "nucleus", "cell"),
    [("wbcseg_d1_jiangxi", 0.176, 0.9, 0.9), ("wbcseg_d2_cellavision", 0.083, 0.94, 0.88)],
)
def test_single_white_cells(name: str, mpp_um: float, nucleus: float, cell: float) -> None:
    pairs = [(painted(cells, truth), truth) for cells, truth in fields(name, mpp_um)]
    assert np.mean([dice(found[0], truth == 255) for found, truth in pairs]) >= nucleus
    assert np.mean([dice(found[1], truth > 0) for found, truth in pairs]) >= cell


def test_white_cells_of_blood_fields() -> None:
    hits = extra = missed = 0
    for cells, truth in fields("bccd_fields", 0.073):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(truth)
        wanted = {i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] * MPP_UM**2 >= 12.5}
        found = [int(labels[y, x]) for x, y in (whole_centre(cell) for cell in cells)]
        hits += len(wanted & set(found))
        missed += len(wanted - set(found))
        extra += len(found) - len(wanted & set(found))
    assert 2 * hits / (2 * hits + extra + missed) >= 0.95


def test_plasma_cells_of_marrow_fields() -> None:
    hits = total = 0
    for cells, truth in fields("segpc_mm_native", 0.041):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(truth)
        wanted = {i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] * MPP_UM**2 >= 37.5}
        hits += len(wanted & {int(labels[y, x]) for x, y in (cell.centre_tile for cell in cells)})
        total += len(wanted)
    assert hits / total >= 0.95


def whole_centre(cell: CellMask) -> tuple[int, int]:
    rows, columns = np.nonzero(cell.cell)
    return int(columns.mean()) + cell.x_tile, int(rows.mean()) + cell.y_tile
