"""The annotated sets: what is outlined in each, at which scale, and how the files of any are read.

Training and judging both go by this table, so that they cannot come to differ about a set.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Known(StrEnum):
    """Which cells of a field are outlined."""

    EVERY_CELL = "every cell"
    MIDDLE_CELL = "the middle cell"  # others may reach in from the rim
    SOME_CELLS = "some cells"  # touching ones as one


@dataclass(frozen=True, kw_only=True)
class FieldSet:
    """A folder of annotated fields and how they are read."""

    folder: str
    known: Known
    mpp_um: float | None = None
    width_um: float | None = None  # of what every field shows, where its fields differ in µm/px
    nuclei: bool = False  # whether nuclei are outlined as well
    same_groups_as: str = ""  # another folder with the same groups
    has_bars: bool = False  # pictures are letterboxed


SETS = (
    FieldSet(folder="wbcseg_d1_jiangxi", known=Known.MIDDLE_CELL, mpp_um=0.176, nuclei=True),
    FieldSet(folder="wbcseg_d2_cellavision", known=Known.MIDDLE_CELL, mpp_um=0.083, nuclei=True),
    FieldSet(folder="bccd_fields", known=Known.EVERY_CELL, mpp_um=0.073),
    FieldSet(folder="segpc_mm_512", known=Known.SOME_CELLS, width_um=83.5, has_bars=True),
    FieldSet(folder="segpc_mm_native", known=Known.SOME_CELLS, width_um=83.5, same_groups_as="segpc_mm_512"),
)


def present(data: Path) -> list[FieldSet]:
    """Return the sets that lie below `data`."""
    return [one for one in SETS if (data / one.folder / "manifest.csv").is_file()]


def entries(data: Path, fields: FieldSet) -> list[dict[str, str]]:
    """Return the rows of a set's manifest that have a mask; raises FileNotFoundError without a manifest."""
    with (data / fields.folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [entry for entry in csv.DictReader(file) if entry["mask"]]


def group_of(fields: FieldSet, entry: Mapping[str, str]) -> str:
    """Return the group of a manifest's row, unique over all sets."""
    return f"{fields.same_groups_as or fields.folder}/{entry['group_id']}"


def read_pair(data: Path, fields: FieldSet, entry: Mapping[str, str]) -> tuple[Pixels, Pixels]:
    """Return (H, W, 3) RGB and (H, W) mask of a manifest's row; raises ValueError when one cannot be read."""
    folder = data / fields.folder
    rgb = _picture(folder / entry["file"], cv2.IMREAD_COLOR_RGB)
    return rgb, _picture(folder / entry["mask"], cv2.IMREAD_GRAYSCALE)


def mpp_um(fields: FieldSet, width_px: int) -> float:
    """Return the µm/px of a field so wide; raises ValueError when the set does not say it."""
    if fields.mpp_um is not None:
        return fields.mpp_um
    if fields.width_um is None:
        raise ValueError(f"{fields.folder}: neither µm/px nor the fields' width is known")
    return fields.width_um / width_px


def _picture(path: Path, how: int) -> Pixels:
    image = cv2.imread(str(path), how)
    if image is None:
        raise ValueError(f"{path} is not a readable picture")
    return np.asarray(image, np.uint8)
