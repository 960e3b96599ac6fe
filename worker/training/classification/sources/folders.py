"""Sets of anybody's own: a `manifest.csv` beside the pictures, or one folder per class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from worker.errors import BadRequestError
from worker.training.classification.data import Label, Row
from worker.training.classification.sources.labels import KNOWN, OWN_FILE, label_of, own_labels
from worker.training.classification.sources.manifests import MANIFEST, entries
from worker.training.classification.sources.pictures import (
    Pixels,
    Sight,
    at,
    at_work_scale,
    covered,
    inner_nuclei,
    known_scale,
    mask_at_work_scale,
    pictures_below,
    rgb,
    single_cell,
)

_INSIDE = 0.6


def has_manifest(folder: Path) -> bool:
    """Tell whether a manifest with pictures and labels lies in the folder."""
    return (folder / MANIFEST).is_file() and all({"file", "label"} <= entry.keys() for entry in entries(folder)[:1])


def manifest_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield one crop per picture of one cell, or for a picture with a mask, one per nucleus inside it.

    The group is the row's patient_id, or its group_id, or the picture itself. A row's own mpp_um goes before the set's.
    Raises BadRequestError for an unknown label, an absent file, or a scale that nobody states and no red cells tell.
    """
    own, rows = own_labels(folder), entries(folder, "file", "label")
    labels = [label_of(entry["label"], own, folder) for entry in rows]
    paths = [folder / entry["file"] for entry in rows]
    if not all(entry.get("mpp_um") for entry in rows):
        mpp_um = known_scale(mpp_um, paths, folder)
    for entry, label, path in zip(rows, labels, paths, strict=True):
        group = entry.get("patient_id") or entry.get("group_id") or path.stem
        scale = _scale(entry, mpp_um, folder)
        mask = folder / entry["mask"] if entry.get("mask") else None
        for crop in _crops(path, mask, scale, sight):
            yield crop, label, group, entry["file"]


def has_class_folders(folder: Path) -> bool:
    """Tell whether folders named as labels lie in the folder, or a file that says what their names mean."""
    children = [path for path in folder.iterdir() if path.is_dir()]
    return bool(children) and ((folder / OWN_FILE).is_file() or any(path.name.lower() in KNOWN for path in children))


def class_folder_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield one crop per picture of one cell, labelled by the folder that it lies in.

    A further folder in between is the group, as in `lymphocyte/patient-7/1.png`; else each picture is its own.
    Raises BadRequestError as `manifest_rows` does.
    """
    own = own_labels(folder)
    kinds = [path for path in sorted(folder.iterdir()) if path.is_dir() and pictures_below(path)]
    labels: dict[str, Label] = {path.name: label_of(path.name, own, folder) for path in kinds}
    files = [(kind, path) for kind in kinds for path in pictures_below(kind)]
    scale = known_scale(mpp_um, [path for _, path in files], folder)
    for kind, path in files:
        inside = path.relative_to(kind)
        group = inside.parts[0] if len(inside.parts) > 1 else f"{kind.name}/{path.stem}"
        for crop in _crops(path, None, scale, sight):
            yield crop, labels[kind.name], group, path.relative_to(folder).as_posix()


def _crops(path: Path, mask: Path | None, mpp_um: float, sight: Sight) -> Iterator[Pixels]:
    image = at_work_scale(rgb(path), mpp_um)
    if mask is None:
        yield single_cell(image, sight)
        return
    inside, shown = mask_at_work_scale(rgb(mask)[..., 0] > 0, image), sight.shown(image)
    for nucleus in inner_nuclei(image, sight):
        if covered(nucleus, inside) > _INSIDE:
            yield at(shown, *nucleus.centre_tile)


def _scale(entry: dict[str, str], mpp_um: float | None, folder: Path) -> float:
    try:
        scale = float(entry.get("mpp_um") or mpp_um or 0)
    except ValueError:
        scale = 0.0
    if not scale > 0:
        raise BadRequestError(f"{folder / MANIFEST}: {entry['file']} needs an mpp_um above zero")
    return scale
