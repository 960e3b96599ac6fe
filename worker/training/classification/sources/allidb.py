"""ALL-IDB (University of Milan): fields with the places of the lymphoblasts (1), and single cells cut from them (2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from db.records import CellClass as C
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, Row
from worker.training.classification.sources.labels import NOT_BLAST, is_
from worker.training.classification.sources.pictures import (
    Sight,
    at,
    at_work_scale,
    inner_nuclei,
    known_scale,
    pictures_below,
    rgb,
    single_cell,
)

_NAME = re.compile(r"Im\d+_(?P<has_blasts>[01])", re.IGNORECASE)
_NEAR_UM = 6.0
"""A nucleus whose centre lies within this of a marked place is the marked lymphoblast."""
_PER_FIELD = 12


def has_allidb(folder: Path) -> bool:
    """Tell whether pictures named as ALL-IDB names them lie below the folder."""
    return bool(_pictures(folder))


def allidb_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield the cells of both parts. A picture is a field where its places (`.xyc`) are there, else a single cell.

    Cells that are not marked, and all of healthy people, are anything but blasts. No patients are stated: a picture is
    its own group, and cells that part 2 shows of a field in part 1 are found as near duplicates.
    The magnifications differ: where no scale is given, each field's red cells tell it, and the single cells' together.
    """
    fields = {path: places for path in _pictures(folder) if (places := _places(path)) is not None}
    for path, places in fields.items():
        scale = known_scale(mpp_um, [path], path)
        image = at_work_scale(rgb(path), scale)
        shown = sight.shown(image)
        marked = _read_places(places) * (scale / MPP_UM)
        for nucleus in inner_nuclei(image, sight)[:_PER_FIELD]:
            away_um = np.hypot(*(marked - nucleus.centre_tile).T) * MPP_UM
            label = is_(C.LYMPHOBLAST) if (away_um < _NEAR_UM).any() else NOT_BLAST
            yield at(shown, *nucleus.centre_tile), label, f"field {path.stem}", path.relative_to(folder).as_posix()
    cells = [path for path in _pictures(folder) if path not in fields]
    scale = known_scale(mpp_um, cells, folder) if cells else 0.0
    for path in cells:
        is_blast = (found := _NAME.fullmatch(path.stem)) is not None and found["has_blasts"] == "1"
        crop = single_cell(at_work_scale(rgb(path), scale), sight)
        label = is_(C.LYMPHOBLAST) if is_blast else NOT_BLAST
        yield crop, label, f"cell {path.stem}", path.relative_to(folder).as_posix()


def _pictures(folder: Path) -> list[Path]:
    return [path for path in pictures_below(folder) if _NAME.fullmatch(path.stem)]


def _places(picture: Path) -> Path | None:
    """Return the file of a field's marked places: beside it, or in the folder `xyc` beside its own."""
    name = f"{picture.stem}.xyc"
    for path in (picture.with_name(name), picture.parent.parent / "xyc" / name):
        if path.is_file():
            return path
    return None


def _read_places(file: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return (N, 2) x and y of the marked places, in pixels of the field."""
    words = file.read_text(encoding="utf-8", errors="replace").split()
    try:
        return np.array([float(word) for word in words], dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise BadRequestError(f"{file} must hold pairs of numbers, x and y of each lymphoblast") from error
