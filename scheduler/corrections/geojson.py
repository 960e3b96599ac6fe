"""Corrections out of a GeoJSON file that QuPath wrote: cells of ours whose class is another than at the export.

A cell is known by the mark in its metadata, which QuPath keeps; beside it stands the class that it was exported with.
A class is one name, or a path of names; that of a cell that the model would not call ends in `abstained`, and says
nothing as long as it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.corrections import Said
from db.places import CellKey
from db.records import CellClass
from scheduler.corrections.features import features
from scheduler.corrections.words import Words, class_of
from worker.cell_ids import CLASS_MARK, MARK, NOT_CALLED, cell_of_mark
from worker.errors import BadRequestError


def read_geojson(path: Path, *, reviewed: bool) -> Words:
    """Return what a file says of the cells that it was exported with.

    reviewed: a person looked at every cell, so that a class that was left is a word too.
    Raises BadRequestError, naming the feature, for a class that is none of ours, and for a file without cells of ours.
    """
    said: list[Said] = []
    present: dict[int, set[tuple[int, int]]] = {}
    untouched = unclassified = foreign = 0
    for number, feature in enumerate(features(path), start=1):
        properties = _mapping(feature.get("properties"))
        metadata = _mapping(properties.get("metadata"))
        key = cell_of_mark(str(metadata.get(MARK, "")))
        if key is None:
            foreign += 1
            continue
        present.setdefault(key[0], set()).add(key[1:])
        names, before = _names(_mapping(properties.get("classification"))), metadata.get(CLASS_MARK)
        if not names:
            unclassified += 1
        elif names[-1] == NOT_CALLED or (not reviewed and names == [before]):
            untouched += 1
        else:
            where = f"{path.name}, feature {number}"
            found = class_of(": ".join(names), where)
            said.append(_said(where, key, found, unless_told=not reviewed and before is None))
    if not present:
        raise BadRequestError(
            f"{path.name}: no cell of ours in it: export with `marrowline report --format geojson`, and save with "
            "QuPath 0.5 or newer, as older ones drop the metadata by which cells are known"
        )
    kept = {run_id: frozenset(cells) for run_id, cells in present.items()}
    return Words(said=tuple(said), present=kept, untouched=untouched, unclassified=unclassified, foreign=foreign)


def _said(where: str, key: CellKey, cell_class: CellClass, *, unless_told: bool) -> Said:
    return Said(
        where=where,
        run_id=key[0],
        batch_no=key[1],
        cell_no=key[2],
        cell_class=cell_class.value,
        unless_told=unless_told,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(classification: Mapping[str, Any]) -> list[str]:
    """Return the path of names; older versions of QuPath write it as one name with colons."""
    if isinstance(names := classification.get("names"), list):
        return [str(name).strip() for name in names]
    return [part.strip() for part in str(classification.get("name") or "").split(":") if part.strip()]
