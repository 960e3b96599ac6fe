"""The collections that are described by a `manifest.csv` of our own (file,label,group_id,mask,…) and known by name.

µm/px are estimates from red or white cells where the publisher gives none.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.records import CellClass as C
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, Row
from worker.training.classification.sources.labels import KNOWN, NOT_PLASMA, OUTLIER, is_, label_of, weak_label
from worker.training.classification.sources.pictures import (
    PER_FIELD,
    Mask,
    Pixels,
    Sight,
    at,
    at_work_scale,
    cell_on_black,
    covered,
    inner_nuclei,
    mask_at_work_scale,
    rgb,
    single_cell,
    some,
)

MANIFEST = "manifest.csv"
_INSIDE = 0.6
_OUTSIDE = 0.1
"""Shares of a nucleus inside a mask from which, and below which, it counts as in it or out of it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One folder of a data collection and how to read it."""

    folder: str
    mpp_um: float
    groups_of: str = ""  # the folder that shows the same fields, so that both stay in one part of the split
    read: Callable[[Path, float, Sight], Iterator[Row]]


def entries(folder: Path, *needed: str) -> list[dict[str, str]]:
    """Return the rows of the folder's manifest; what a row is too short for is empty.

    Raises BadRequestError, naming the file, where it lacks a column that is needed, or a row's file or label is empty.
    """
    manifest = folder / MANIFEST
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        rows = list(reader)
    if absent := [column for column in needed if column not in (reader.fieldnames or ())]:
        raise BadRequestError(f"{manifest} lacks the columns {', '.join(absent)}")
    for number, row in enumerate(rows, 1):
        for column in ("file", "label"):
            if column in needed and not row[column]:
                raise BadRequestError(f"{manifest}: row {number} below the head has no {column}")
    return rows


def single_cells(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield one crop per picture of one cell; its label is the manifest's."""
    for entry in entries(folder, "file", "label", "group_id"):
        image = at_work_scale(rgb(folder / entry["file"]), mpp_um)
        yield single_cell(image, sight), label_of(entry["label"], {}, folder), _group(entry), entry["file"]


def cells_on_black(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield one crop per cell that was cut out on black."""
    for entry in entries(folder, "file", "label", "group_id"):
        crop = cell_on_black(rgb(folder / entry["file"]), mpp_um, sight)
        yield crop, label_of(entry["label"], {}, folder), entry["group_id"], entry["file"]


def plasma_fields(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield nuclei inside the plasma cell masks, and some outside, of which only that is known."""
    for entry in entries(folder, "file", "group_id", "mask"):
        if entry["mask"]:
            inside = rgb(folder / entry["mask"])[..., 0] > 0
            image, inside = without_bars(rgb(folder / entry["file"]), inside)
            yield from plasma_rows(at_work_scale(image, mpp_um), inside, sight, (entry["group_id"], entry["file"]))


def plasma_rows(image_work: Pixels, inside: Mask, sight: Sight, names: tuple[str, str]) -> Iterator[Row]:
    """Yield the crops of a field whose plasma cells are masked; `names` are its group and its picture's name."""
    inside_work, shown = mask_at_work_scale(inside, image_work), sight.shown(image_work)
    taken = {True: 0, False: 0}
    for nucleus in inner_nuclei(image_work, sight):
        share = covered(nucleus, inside_work)
        is_plasma = share > _INSIDE
        if (is_plasma or share < _OUTSIDE) and taken[is_plasma] < PER_FIELD:
            taken[is_plasma] += 1
            label = is_(C.PLASMA_CELL) if is_plasma else NOT_PLASMA
            yield at(shown, *nucleus.centre_tile), label, *names


def leukaemia_fields(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield nuclei of fields that are known as a whole to be ALL or benign (haematogones): weak labels."""
    for entry in entries(folder, "file", "label", "group_id"):
        image = at_work_scale(without_scale_bar(rgb(folder / entry["file"])), mpp_um)
        shown = sight.shown(image)
        for nucleus in some(inner_nuclei(image, sight), PER_FIELD):
            label = weak_label(of_leukaemia=entry["label"] == "ALL", nucleus_um2=nucleus.count * MPP_UM**2)
            yield at(shown, *nucleus.centre_tile), label, entry["group_id"], entry["file"]


def blood_fields(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield the white cells of blood fields whose note names one type of white cell only."""
    for entry in entries(folder, "file", "group_id", "mask", "note"):
        kind = entry["note"].rpartition("WBC type(s): ")[2].strip().lower()
        if kind not in KNOWN or not entry["mask"]:
            continue
        image = at_work_scale(rgb(folder / entry["file"]), mpp_um)
        shown = sight.shown(image)
        inside = at_work_scale(rgb(folder / entry["mask"]), mpp_um)[..., 0] > 127
        for nucleus in inner_nuclei(image, sight):
            if covered(nucleus, inside) > _INSIDE:
                yield at(shown, *nucleus.centre_tile), KNOWN[kind], entry["group_id"], entry["file"]


def outlier_fields(folder: Path, mpp_um: float, sight: Sight) -> Iterator[Row]:
    """Yield nuclei of tissue sections, which no class of a smear fits."""
    for entry in entries(folder, "file"):
        image = at_work_scale(rgb(folder / entry["file"]), mpp_um)
        shown = sight.shown(image)
        for nucleus in some(inner_nuclei(image, sight), 20 * PER_FIELD):
            yield at(shown, *nucleus.centre_tile), OUTLIER, entry["file"].split("_")[3], entry["file"]


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


def without_bars(image: Pixels, mask: Mask) -> tuple[Pixels, Mask]:
    """Return the rows that are not one plain colour: letterbox bars would pass for the background."""
    rows = image.std(axis=1).max(axis=1) > 3
    return image[rows], mask[rows]


def without_scale_bar(image: Pixels) -> Pixels:
    """Return a field of the leukaemia set whose burnt-in scale bar is covered by the median colour."""
    image = image.copy()
    image[190:, 150:] = np.median(image, axis=(0, 1))
    return image


def _group(entry: dict[str, str]) -> str:
    """Return the manifest's group; without one, files numbered closely are taken to be of one smear."""
    if entry["group_id"]:
        return entry["group_id"]
    stem = Path(entry["file"]).stem
    number = "".join(c for c in stem if c.isdigit())
    return f"{entry['label']}-{int(number) // 1000}" if len(number) > 4 else stem
