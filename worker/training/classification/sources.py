"""Readers of the public data sets: each turns its pictures into labelled crops, centred as the pipeline centres them.

A folder holds `manifest.csv` (file,label,group_id,mask,…) beside its pictures. µm/px are estimates from red or white
cells where the publisher gives none. A folder that is absent is left out; `read_all` says which ones it found.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import CellClass as C
from worker.cells.preprocess import crop, rescale
from worker.cells.segment import CellMask
from worker.geometry import Box
from worker.training.classification.data import CLASSES, MPP_UM, STORED_PX, CropSet, Label, Row, crop_set

Pixels = NDArray[np.uint8]
Find = Callable[[Pixels], Sequence[CellMask]]
"""Finds the cells of a (H, W, 3) uint8 RGB picture at MPP_UM, as the product will."""

BLAST: Label = frozenset({C.LYMPHOBLAST, C.BLAST_OTHER})
NOT_PLASMA: Label = frozenset(map(C, CLASSES)) - {C.PLASMA_CELL}
NO_BLAST: Label = NOT_PLASMA - BLAST
UNREADABLE: Label = frozenset({C.ARTEFACT, C.SMUDGE})
OUTLIER: Label = frozenset()
_SMALL_UM2 = 40.0
"""Nuclei of mature lymphocytes are mostly smaller, those of lymphoblasts mostly larger."""
_GLASS = 230
"""Grey level of the background that cut-out cells are put on."""
_FROM_BORDER_PX = 28
"""Cells of a field nearer to its border are left out: too little of their surroundings is known."""
_PER_FIELD = 6
"""Most cells of one kind that are taken from one field."""


def _is(*classes: C) -> Label:
    return frozenset(classes)


_CELL_LABELS: Mapping[str, Label] = {
    "band_neutrophil": _is(C.NEUTROPHIL), "segmented_neutrophil": _is(C.NEUTROPHIL), "neutrophil": _is(C.NEUTROPHIL),
    "promyelocyte": _is(C.IMMATURE_GRANULOCYTE), "myelocyte": _is(C.IMMATURE_GRANULOCYTE),
    "metamyelocyte": _is(C.IMMATURE_GRANULOCYTE), "ig": _is(C.IMMATURE_GRANULOCYTE),
    "proerythroblast": _is(C.ERYTHROBLAST), "basophilic_erythroblast": _is(C.ERYTHROBLAST),
    "polychromatic_erythroblast": _is(C.ERYTHROBLAST), "orthochromatic_erythroblast": _is(C.ERYTHROBLAST),
    "erythroblast": _is(C.ERYTHROBLAST), "lymphocyte": _is(C.LYMPHOCYTE), "monocyte": _is(C.MONOCYTE),
    "eosinophil": _is(C.EOSINOPHIL), "basophil": _is(C.BASOPHIL), "plasma_cell": _is(C.PLASMA_CELL),
    "platelet": _is(C.PLATELET), "blast": BLAST, "blast_any_lineage": BLAST, "not_identifiable": OUTLIER,
    "macrophage": OUTLIER, "ALL_blast": _is(C.LYMPHOBLAST), "normal_cell": _is(C.LYMPHOCYTE),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Source:
    """One folder of a data collection and how to read it."""

    folder: str
    mpp_um: float
    groups_of: str = ""  # the folder that shows the same fields, so that both stay in one part of the split
    read: Callable[[Path, float, Find], Iterator[Row]]


def read_all(data: Path, find: Find) -> list[CropSet]:
    """Return the crops of every known folder below `data`; raises ValueError when there is none."""
    found = []
    for source in SOURCES:
        if (data / source.folder / "manifest.csv").is_file():
            rows = source.read(data / source.folder, source.mpp_um, find)
            found.append(crop_set(rows, source.folder, groups_of=source.groups_of or source.folder))
            print(f"{source.folder}: {len(found[-1])} crops", flush=True)
    if not found:
        raise ValueError(f"{data} holds none of {', '.join(source.folder for source in SOURCES)}")
    return found


def single_cells(folder: Path, mpp_um: float, find: Find) -> Iterator[Row]:
    """Yield one crop per picture of one cell; its label is the manifest's."""
    for entry in _manifest(folder):
        image = rescale(_rgb(folder / entry["file"]), mpp_um, MPP_UM)
        yield _at(image, *_middle_cell(image, find)), _CELL_LABELS[entry["label"]], _group(entry), entry["file"]


def cells_on_black(folder: Path, mpp_um: float, _: Find) -> Iterator[Row]:
    """Yield one crop per cell that was cut out on black; the black becomes glass, and the cell is lit as if on it."""
    for entry in _manifest(folder):
        image = _rgb(folder / entry["file"])
        cell = image.max(axis=2) > 8
        glass = 1.1 * np.percentile(image[cell], 98, axis=0)
        image = np.minimum(255, image * (_GLASS / glass)).astype(np.uint8)
        image[~cell] = _GLASS
        rows, columns = np.nonzero(cell)
        scale = mpp_um / MPP_UM
        middle = int(columns.mean() * scale), int(rows.mean() * scale)
        yield (
            _at(rescale(image, mpp_um, MPP_UM), *middle),
            _CELL_LABELS[entry["label"]],
            entry["group_id"],
            entry["file"],
        )


def plasma_fields(folder: Path, mpp_um: float, find: Find) -> Iterator[Row]:
    """Yield nuclei inside the plasma cell masks, and some outside, of which only that is known."""
    for entry in _manifest(folder):
        if not entry["mask"]:
            continue
        inside = _rgb(folder / entry["mask"])[..., 0] > 0
        image, inside = _without_bars(_rgb(folder / entry["file"]), inside)
        image = rescale(image, mpp_um, MPP_UM)
        inside = cv2.resize(inside.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        taken = {True: 0, False: 0}
        for nucleus in _inner_nuclei(image, find):
            covered = float(inside[_pixels(nucleus)].mean())
            is_plasma = covered > 0.6
            if (is_plasma or covered < 0.1) and taken[is_plasma] < _PER_FIELD:
                taken[is_plasma] += 1
                label = _is(C.PLASMA_CELL) if is_plasma else NOT_PLASMA
                yield _at(image, *nucleus.centre_tile), label, entry["group_id"], entry["file"]


def leukaemia_fields(folder: Path, mpp_um: float, find: Find) -> Iterator[Row]:
    """Yield nuclei of fields that are known as a whole to be ALL or benign (haematogones): weak labels.

    Large nuclei of an ALL field count as lymphoblasts, small ones may be lymphocytes too; in a benign field small ones
    are lymphocytes and large ones anything but blasts and plasma cells.
    """
    weak = {
        ("ALL", True): _is(C.LYMPHOBLAST),
        ("ALL", False): _is(C.LYMPHOBLAST, C.LYMPHOCYTE, C.ERYTHROBLAST, C.PLATELET) | UNREADABLE,
        ("normal", True): NO_BLAST,
        ("normal", False): _is(C.LYMPHOCYTE),
    }
    for entry in _manifest(folder):
        image = _rgb(folder / entry["file"])
        image[190:, 150:] = np.median(image, axis=(0, 1))  # the burnt-in scale bar
        image = rescale(image, mpp_um, MPP_UM)
        for nucleus in _some(_inner_nuclei(image, find), _PER_FIELD):
            large = nucleus.count * MPP_UM**2 > _SMALL_UM2
            yield _at(image, *nucleus.centre_tile), weak[entry["label"], large], entry["group_id"], entry["file"]


def blood_fields(folder: Path, mpp_um: float, find: Find) -> Iterator[Row]:
    """Yield the white cells of blood fields whose note names one type of white cell only."""
    for entry in _manifest(folder):
        kind = entry["note"].rpartition("WBC type(s): ")[2].strip().lower()
        if kind not in _CELL_LABELS or not entry["mask"]:
            continue
        image = rescale(_rgb(folder / entry["file"]), mpp_um, MPP_UM)
        inside = rescale(_rgb(folder / entry["mask"]), mpp_um, MPP_UM)[..., 0] > 127
        for nucleus in _inner_nuclei(image, find):
            if inside[_pixels(nucleus)].mean() > 0.6:
                yield _at(image, *nucleus.centre_tile), _CELL_LABELS[kind], entry["group_id"], entry["file"]


def outlier_fields(folder: Path, mpp_um: float, find: Find) -> Iterator[Row]:
    """Yield nuclei of tissue sections, which no class of a smear fits."""
    for entry in _manifest(folder):
        image = rescale(_rgb(folder / entry["file"]), mpp_um, MPP_UM)
        for nucleus in _some(_inner_nuclei(image, find), 20 * _PER_FIELD):
            yield _at(image, *nucleus.centre_tile), OUTLIER, entry["file"].split("_")[3], entry["file"]


SOURCES = (
    Source(folder="pbc_normal_wbc", mpp_um=0.1, read=single_cells),
    Source(folder="marrow_cells_pathbites", mpp_um=0.15, read=single_cells),
    Source(folder="matek_bone_marrow", mpp_um=0.1, read=single_cells),
    Source(folder="wbcseg_d1_jiangxi", mpp_um=0.176, read=single_cells),
    Source(folder="wbcseg_d2_cellavision", mpp_um=0.083, read=single_cells),
    Source(folder="cnmc2019_sample", mpp_um=0.07, read=cells_on_black),
    Source(folder="segpc_mm_512", mpp_um=0.163, read=plasma_fields),
    Source(folder="segpc_mm_native", mpp_um=0.041, groups_of="segpc_mm_512", read=plasma_fields),
    Source(folder="bccd_fields", mpp_um=0.073, read=blood_fields),
    Source(folder="taleqani_all", mpp_um=0.37, read=leukaemia_fields),
    Source(folder="bm_graz_HE_ood", mpp_um=0.25, read=outlier_fields),
)


def _manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _group(entry: dict[str, str]) -> str:
    """Return the manifest's group; without one, files numbered closely are taken to be of one smear."""
    if entry["group_id"]:
        return entry["group_id"]
    stem = Path(entry["file"]).stem
    number = "".join(c for c in stem if c.isdigit())
    return f"{entry['label']}-{int(number) // 1000}" if len(number) > 4 else stem


def _rgb(path: Path) -> Pixels:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not a readable picture")
    return np.asarray(image[..., ::-1], dtype=np.uint8).copy()


def _inner_nuclei(image: Pixels, find: Find) -> list[CellMask]:
    """Return the nuclei away from the border of a field."""
    height, width = image.shape[:2]
    inner = Box(x=0, y=0, width=width, height=height).grown(-_FROM_BORDER_PX)
    return [n for n in find(image) if inner.holds_mean(n.sum_x, n.sum_y, n.count)]


def _some(nuclei: Sequence[CellMask], number: int) -> list[CellMask]:
    """Return at most `number` nuclei from all over the field."""
    chosen = np.linspace(0, len(nuclei) - 1, min(number, len(nuclei))).round().astype(int)
    return [nuclei[i] for i in chosen]


def _pixels(nucleus: CellMask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of a nucleus in its field."""
    rows, columns = np.nonzero(nucleus.nucleus)
    return rows + nucleus.y_tile, columns + nucleus.x_tile


def _at(image: Pixels, x: int, y: int) -> Pixels:
    return crop(image, x, y, STORED_PX)


def _middle_cell(image: Pixels, find: Find) -> tuple[int, int]:
    """Return the centre of the nucleus nearest the picture's middle, or the middle when none is within a quarter."""
    height, width = image.shape[:2]
    x, y = width // 2, height // 2
    centres = [nucleus.centre_tile for nucleus in find(image)]
    near = [c for c in centres if np.hypot(c[0] - x, c[1] - y) < min(height, width) / 4]
    return min(near, key=lambda c: np.hypot(c[0] - x, c[1] - y)) if near else (x, y)


def _without_bars(image: Pixels, mask: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the rows that are not one plain colour: letterbox bars would pass for the background."""
    rows = image.std(axis=1).max(axis=1) > 3
    return image[rows], mask[rows]
