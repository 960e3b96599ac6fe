"""Cells as the export for QuPath writes them, and as a person gives them back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worker.cell_ids import MARK, cell_mark


def feature(run: int, no: int, name: str | None, *, batch: int = 0, seen: str | None = None) -> dict[str, Any]:
    """Return a cell with a class, exported with the class `seen`; without it, as a file that does not say so."""
    names = (name or "").split(": ")
    classification = {"name": name} if len(names) == 1 else {"names": names}
    metadata = {MARK: cell_mark(run, batch, no)} | ({f"{MARK}_class": seen} if seen else {})
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"metadata": metadata} | ({"classification": classification} if name else {}),
    }


def collection(path: Path, features: Sequence[Any], **beside: Any) -> Path:
    """Write features as one collection; return the file."""
    document = {"type": "FeatureCollection", **beside, "features": features}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
