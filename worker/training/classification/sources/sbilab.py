"""The published sets of one laboratory (SBILab, IIIT-Delhi, with AIIMS): C-NMC 2019, SegPC-2021 and SN-AM.

Their trees are read as the archives unpack, under whatever folders a mirror has put around them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from db.records import CellClass as C
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, Label, Row
from worker.training.classification.sources.labels import NOT_BLAST, is_, weak_label
from worker.training.classification.sources.manifests import plasma_rows
from worker.training.classification.sources.pictures import (
    PER_FIELD,
    SUFFIXES,
    Sight,
    at,
    at_work_scale,
    cell_on_black,
    inner_nuclei,
    pictures_below,
    rgb,
    some,
)

_CNMC_NAME = re.compile(r"UID_(?P<patient>H?\d+)_\d+_\d+_(?P<kind>all|hem)")
_CNMC_KINDS: dict[str, Label] = {"all": is_(C.LYMPHOBLAST), "hem": is_(C.LYMPHOCYTE)}
_CNMC_UM = 0.07
_MARROW_UM = 0.041
"""SegPC and SN-AM: the burnt-in bar of one SegPC field reads 10 µm over about 245 px."""
_BLOCK = 25


def has_cnmc(folder: Path) -> bool:
    """Tell whether cells named as C-NMC names them lie below the folder."""
    return any(_CNMC_NAME.match(path.stem) for path in folder.rglob("UID_*"))


def cnmc_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield the cells of C-NMC 2019; the group is the patient.

    Cells of the preliminary test are named by its table; those of the final test have no public label. A cell that a
    mirror holds twice is read once.
    """
    named = {path.stem: path for path in pictures_below(folder) if _CNMC_NAME.match(path.stem)}
    for name, path in sorted({**_cnmc_test(folder), **named}.items()):
        if (found := _CNMC_NAME.match(name)) is not None:
            crop = cell_on_black(rgb(path), mpp_um or _CNMC_UM, sight)
            yield crop, _CNMC_KINDS[found["kind"]], found["patient"], path.relative_to(folder).as_posix()


def has_segpc(folder: Path) -> bool:
    """Tell whether folders x and y with pictures and masks lie side by side below the folder."""
    return any(True for _ in _segpc_folders(folder))


def segpc_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield nuclei of SegPC-2021 inside and outside the plasma cells; the group is a block of 25 file numbers.

    `x/N.bmp` is a field, and `y/N_1.bmp`, `y/N_2.bmp`, … are its plasma cells one by one, 0 where there is none.
    """
    for pictures, masks in _segpc_folders(folder):
        for path in pictures_below(pictures):
            cells = [rgb(mask)[..., 0] > 0 for mask in sorted(masks.glob(f"{path.stem}_*"))]
            if not cells:
                continue
            inside = cells[0]
            for cell in cells[1:]:
                inside = inside | cell
            image = at_work_scale(rgb(path), mpp_um or _MARROW_UM)
            group = f"b{int(path.stem) // _BLOCK * _BLOCK:04d}" if path.stem.isdigit() else path.stem
            yield from plasma_rows(image, inside, sight, (group, path.relative_to(folder).as_posix()))


def has_snam(folder: Path) -> bool:
    """Tell whether folders ALL and MM with fields lie side by side below the folder."""
    return any(True for _ in _snam_folders(folder))


def snam_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield nuclei of the fields of SN-AM, weakly labelled by their field; no patients are stated, so it is the group.

    Large nuclei of ALL fields count as lymphoblasts; nuclei of MM fields are anything but blasts, since which of them
    are plasma cells is not said: the masks beside the fields mark colours to normalise by, not cells.
    """
    for parent in _snam_folders(folder):
        for kind in ("ALL", "MM"):
            for path in pictures_below(parent / kind):
                if "mask" in path.stem.lower():
                    continue
                image = at_work_scale(rgb(path), mpp_um or _MARROW_UM)
                shown = sight.shown(image)
                for nucleus in some(inner_nuclei(image, sight), PER_FIELD):
                    weak = weak_label(of_leukaemia=True, nucleus_um2=nucleus.count * MPP_UM**2)
                    label = weak if kind == "ALL" else NOT_BLAST
                    name = path.relative_to(folder).as_posix()
                    yield at(shown, *nucleus.centre_tile), label, f"{kind}/{path.stem}", name


def _cnmc_test(folder: Path) -> dict[str, Path]:
    """Return the pictures of the preliminary test by the names that its table says they had."""
    found: dict[str, Path] = {}
    for table in sorted(folder.rglob("*_labels.csv")):
        phase = table.stem.removesuffix("_labels")
        below = [path for path in sorted(folder.rglob(phase)) if path.is_dir()]
        files = {path.name: path for parent in below for path in pictures_below(parent)}
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        if not all({"Patient_ID", "new_names"} <= row.keys() for row in rows):
            raise BadRequestError(f"{table} must have the columns Patient_ID and new_names, as C-NMC publishes it")
        found |= {Path(row["Patient_ID"]).stem: files[row["new_names"]] for row in rows if row["new_names"] in files}
    return found


def _segpc_folders(folder: Path) -> Iterator[tuple[Path, Path]]:
    for pictures in sorted(folder.rglob("x/")):
        masks = pictures.parent / "y"
        if masks.is_dir() and any(path.suffix.lower() in SUFFIXES for path in pictures.iterdir()):
            yield pictures, masks


def _snam_folders(folder: Path) -> Iterator[Path]:
    for leukaemia in sorted([*folder.glob("ALL/"), *folder.glob("*/ALL/"), *folder.glob("*/*/ALL/")]):
        fields = [leukaemia, leukaemia.parent / "MM"]
        if all(part.is_dir() and any(path.suffix.lower() in SUFFIXES for path in part.iterdir()) for part in fields):
            yield leukaemia.parent
