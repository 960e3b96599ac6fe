"""Which reader a folder of pictures is for: it is known by its name or recognised by its tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import BadRequestError
from worker.training.classification.data import CropSet, Row, crop_set
from worker.training.classification.sources import allidb, folders, manifests, matek, sbilab
from worker.training.classification.sources.pictures import Sight


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a data set lies on disk, and how it is read."""

    name: str  # of the source; empty: the folder's own
    looks_for: str
    is_here: Callable[[Path], bool]
    rows: Callable[[Path, float | None, Sight], Iterator[Row]]


LAYOUTS = (
    Layout(
        name="cnmc",
        looks_for="C-NMC 2019: cells named UID_<patient>_<picture>_<cell>_<all or hem>",
        is_here=sbilab.has_cnmc,
        rows=sbilab.cnmc_rows,
    ),
    Layout(
        name="segpc",
        looks_for="SegPC-2021: folders x with fields and y with masks, side by side",
        is_here=sbilab.has_segpc,
        rows=sbilab.segpc_rows,
    ),
    Layout(
        name="snam",
        looks_for="SN-AM: folders ALL and MM, side by side",
        is_here=sbilab.has_snam,
        rows=sbilab.snam_rows,
    ),
    Layout(
        name="all_idb",
        looks_for="ALL-IDB: pictures named Im<number>_<0 or 1>",
        is_here=allidb.has_allidb,
        rows=allidb.allidb_rows,
    ),
    Layout(
        name="matek",
        looks_for="the marrow cells of Matek et al.: folders BLA, LYT, NGS, …",
        is_here=matek.has_matek,
        rows=matek.matek_rows,
    ),
    Layout(
        name="",
        looks_for="manifest.csv with the columns file and label",
        is_here=folders.has_manifest,
        rows=folders.manifest_rows,
    ),
    Layout(
        name="",
        looks_for="one folder per class, named as classes are or explained in classes.json",
        is_here=folders.has_class_folders,
        rows=folders.class_folder_rows,
    ),
)
"""In the order in which they are looked for."""


def read(folder: Path, sight: Sight, *, mpp_um: float | None = None) -> CropSet:
    """Return the crops of one data set; `mpp_um` is the scale of its pictures where it differs from what is known.

    Raises:
        BadRequestError: the folder is absent or of no known layout, holds no cell, or a label, scale or picture of it
            is not usable.
    """
    if not folder.is_dir():
        raise BadRequestError(f"{folder} is not a folder")
    if (source := _known(folder)) is not None:
        rows = list(source.read(folder, mpp_um or source.mpp_um, sight))
        return _gathered(rows, folder, source.folder, source.groups_of)
    layout = _recognised(folder)
    if layout is None:
        wanted = "; ".join(layout.looks_for for layout in LAYOUTS)
        raise BadRequestError(f"{folder} is no data set that can be read. Looked for: {wanted}")
    return _gathered(list(layout.rows(folder, mpp_um, sight)), folder, layout.name or folder.resolve().name)


def read_all(data: Path, sight: Sight, say: Callable[[str], None] = print) -> list[CropSet]:
    """Return the crops of each data set below `data`, or of `data` itself where it is one.

    Raises BadRequestError when there is none, and as `read` does.
    """
    if not data.is_dir():
        raise BadRequestError(f"{data} is not a folder")
    if _is_one_set(data):
        found = [read(data, sight)]
        say(f"{data.resolve().name}: {len(found[0])} crops")
        return found
    known = [data / source.folder for source in manifests.SOURCES if _known(data / source.folder) is not None]
    others = [path for path in sorted(data.iterdir()) if path.is_dir() and path not in known and _recognised(path)]
    found = []
    for folder in [*known, *others] or [data]:
        found.append(read(folder, sight))
        say(f"{folder.name}: {len(found[-1])} crops")
    return found


def _is_one_set(folder: Path) -> bool:
    """Tell whether a folder is a set itself rather than one of sets: parts of it may look like sets of their own.

    So it is by its name or manifest, or where all that is recognised in it is of the published layout that it has.
    """
    if _known(folder) is not None or folders.has_manifest(folder):
        return True
    children = [path for path in folder.iterdir() if path.is_dir()]
    if any(_known(path) is not None for path in children):
        return False
    own, layouts = _recognised(folder), {_recognised(path) for path in children} - {None}
    return own is not None and bool(own.name) and layouts <= {own}


def _known(folder: Path) -> manifests.Source | None:
    if not (folder / manifests.MANIFEST).is_file():
        return None
    return next((source for source in manifests.SOURCES if source.folder == folder.resolve().name), None)


def _recognised(folder: Path) -> Layout | None:
    return next((layout for layout in LAYOUTS if layout.is_here(folder)), None)


def _gathered(rows: list[Row], folder: Path, name: str, groups_of: str = "") -> CropSet:
    if not rows:
        raise BadRequestError(f"{folder} holds no cell that can be used")
    return crop_set(rows, name, groups_of=groups_of)
