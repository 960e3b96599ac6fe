"""Fields with outlines, from the public data sets and drawn: what is known of each pixel, at the working resolution.

The sets say different things: nucleus and whole cell (wbcseg), whole white cells (bccd), plasma cells only (segpc,
where every other cell is unannotated). What a set does not say is marked UNKNOWN and has no part in the loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.cells.channels import channels
from worker.cells.cytoplasm import body_mask
from worker.cells.nuclei import disc, nucleus_mask
from worker.cells.preprocess import rescale
from worker.cells.segment import fit_stain, segment
from worker.training.segmentation import sets

Pixels = NDArray[np.uint8]
Known = NDArray[np.int8]
Labels = NDArray[np.int32]

MPP_UM = 0.25
UNKNOWN = -1
_VAL_IN = 4
"""One group in so many is kept for validation,"""
_SPLIT = "b"
"""drawn under this word, which leaves a fair part of the small sets on both sides; chosen before any training."""
_NEAR_UM = 0.75
"""So close to what is stained nothing is taken for sure background in fields that are annotated in part."""
_LARGEST_CELL_UM2 = 330.0
_LEAST_SOLIDITY = 0.87


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """One picture and what is known of its pixels; 1 yes, 0 no, UNKNOWN."""

    name: str
    source: str
    group: str
    rgb: Pixels = field(repr=False)  # (H, W, 3) at MPP_UM
    cell: Known = field(repr=False)  # (H, W), whole bodies of nucleated cells
    nucleus: Known = field(repr=False)  # (H, W)
    instance: Labels = field(repr=False)  # (H, W), 1..n where it is known which cell a pixel belongs to, else 0


def read_set(data: Path, fields: sets.FieldSet) -> Iterator[Field]:
    """Yield the annotated fields of a set below `data`; raises ValueError when a picture cannot be read."""
    for entry in sets.entries(data, fields):
        rgb, mask = sets.read_pair(data, fields, entry)
        mpp_um = sets.mpp_um(fields, rgb.shape[1])
        if fields.has_bars:
            rgb, mask = without_bars(rgb, mask)
        pixels, cell, nucleus, instance = _READ[fields.known](*_at_working_scale(rgb, mask, mpp_um))
        yield Field(
            name=Path(entry["file"]).stem,
            source=fields.folder,
            group=sets.group_of(fields, entry),
            rgb=pixels,
            cell=cell,
            nucleus=nucleus,
            instance=instance,
        )


def part_of(group: str) -> str:
    """Return "train" or "val", the same for all fields of a group, decided by the SHA-256 of its name."""
    digest = hashlib.sha256(f"{_SPLIT}:{group}".encode()).hexdigest()
    return "val" if int(digest, 16) % _VAL_IN == 0 else "train"


def without_bars(rgb: Pixels, mask: Pixels) -> tuple[Pixels, Pixels]:
    """Return the rows between the bars of one plain colour that a letterboxed picture has above and below."""
    plain = rgb.std(axis=1).max(axis=1) <= 3
    inner = np.flatnonzero(~plain)
    rows = slice(int(inner[0]), int(inner[-1]) + 1) if len(inner) else slice(None)
    return rgb[rows], mask[rows]


def single_cell(rgb: Pixels, levels: Pixels) -> tuple[Pixels, Known, Known, Labels]:
    """Read a picture of one cell, of which body (128) and nucleus (255) are outlined; other cells may reach in."""
    cell, nucleus = (levels > 64).astype(np.int8), (levels > 191).astype(np.int8)
    _forget(_strangers(rgb, cell), cell, nucleus)
    return rgb, cell, nucleus, _components(cell)


def white_cells(rgb: Pixels, levels: Pixels) -> tuple[Pixels, Known, Known, Labels]:
    """Read a blood field whose white cells are outlined whole; nuclei are unknown inside and absent outside."""
    cell = (levels > 127).astype(np.int8)
    nucleus = np.where(cell == 1, UNKNOWN, 0).astype(np.int8)
    _forget(_strangers(rgb, cell), cell, nucleus)
    return rgb, cell, nucleus, _components(cell)


def plasma_cells(rgb: Pixels, levels: Pixels) -> tuple[Pixels, Known, Known, Labels]:
    """Read a marrow field of which only the plasma cells are outlined, whole.

    Background is what the classical segmenter finds unstained at some distance from anything stained; its nuclei
    stand for nuclei, and outside the outlines for cells whose extent is unknown.
    """
    fit = fit_stain(rgb, MPP_UM)
    ch = channels(rgb, fit)
    chromatin = nucleus_mask(ch, fit, MPP_UM)
    stained = cv2.dilate(body_mask(ch, chromatin, fit, MPP_UM), disc(_NEAR_UM, MPP_UM)) > 0
    annotated = levels > 127
    nucleus = np.where(stained, UNKNOWN, 0).astype(np.int8)
    nucleus[annotated & (cv2.dilate(chromatin, disc(_NEAR_UM, MPP_UM)) == 0)] = 0
    for found in segment(rgb, fit, MPP_UM):
        height, width = found.nucleus.shape
        box = nucleus[found.y_tile : found.y_tile + height, found.x_tile : found.x_tile + width]
        box[found.nucleus] = 1
    cell = np.where(annotated | (nucleus == 1), 1, np.where(stained, UNKNOWN, 0)).astype(np.int8)
    return rgb, cell, nucleus, _components(annotated.astype(np.int8))


_READ = {
    sets.Known.MIDDLE_CELL: single_cell,
    sets.Known.EVERY_CELL: white_cells,
    sets.Known.SOME_CELLS: plasma_cells,
}
DRAWN = "drawn"


def read_all(data: Path, leave_out: Sequence[str] = ()) -> list[Field]:
    """Return the fields of every known folder below `data` but those left out; ValueError when there are none."""
    chosen = [one for one in sets.present(data) if one.folder not in leave_out]
    if not chosen:
        raise ValueError(f"{data} holds none of {', '.join(one.folder for one in sets.SETS)}")
    return [found for one in chosen for found in read_set(data, one)]


def _at_working_scale(rgb: Pixels, mask: Pixels, mpp_um: float) -> tuple[Pixels, Pixels]:
    """Return both at MPP_UM; the mask's levels are resampled each by itself, so that none arises between two."""
    out = rescale(rgb, mpp_um, MPP_UM)
    how = cv2.INTER_AREA if mpp_um < MPP_UM else cv2.INTER_LINEAR
    levels = np.zeros(out.shape[:2], np.uint8)
    for level in (128, 255):
        part = cv2.resize(((mask >= level) * 255).astype(np.uint8), out.shape[1::-1], interpolation=how)
        levels[part > 127] = level
    return out, levels


def _components(cell: Known) -> Labels:
    """Number the outlined bodies; those that look like several cells grown together stay 0."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((cell == 1).astype(np.uint8), connectivity=4)
    for label in range(1, count):
        if _looks_merged(labels == label, float(stats[label, cv2.CC_STAT_AREA])):
            labels[labels == label] = 0
    return np.asarray(labels, np.int32)


def _looks_merged(mask: NDArray[np.bool_], area_px: float) -> bool:
    if area_px * MPP_UM**2 > _LARGEST_CELL_UM2:
        return True
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.contourArea(cv2.convexHull(np.vstack(contours)))
    return area_px < _LEAST_SOLIDITY * hull and area_px * MPP_UM**2 > _LARGEST_CELL_UM2 / 2


def _strangers(rgb: Pixels, cell: Known) -> NDArray[np.bool_]:
    """Return where nuclei that are not outlined reach in from the picture's edge."""
    fit = fit_stain(rgb, MPP_UM)
    count, labels = cv2.connectedComponents(nucleus_mask(channels(rgb, fit), fit, MPP_UM), connectivity=4)
    known = np.unique(labels[cell == 1])
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    strange = np.zeros(count, np.uint8)
    strange[np.setdiff1d(rim, known)] = 255
    strange[0] = 0
    return np.asarray(cv2.dilate(strange[labels], disc(2.5, MPP_UM)) > 0)


def _forget(where: NDArray[np.bool_], cell: Known, nucleus: Known) -> None:
    for plane in (cell, nucleus):
        plane[where & (cell != 1)] = UNKNOWN


def parts(fields: Sequence[Field]) -> dict[str, list[Field]]:
    """Share fields out into train and val, whole groups at a time."""
    out: dict[str, list[Field]] = {"train": [], "val": []}
    for found in fields:
        out[part_of(found.group)].append(found)
    return out
