"""Writes the cells of a patient's slides as GeoJSON for QuPath, one after the other: memory does not grow with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from db.cases import Case, CaseCell, CaseSlide
from db.session import transaction
from worker.outputs.files import whole
from worker.outputs.geojson.features import feature_of, measured
from worker.outputs.panel import NOTICE
from worker.outputs.stored_cells import Passing, all_cells
from worker.workshop import Tell, Workshop


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write `slide-ID.geojson` for every slide that the finding rests on; return the files.

    Raises BadRequestError where the folder takes no file, ServiceError when a slide changes meanwhile.
    """
    return _write(workshop, case, folder, tell, packed=False)


def write_packed(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write `slide-ID.geojson.gz`, which QuPath opens as it is; as `write` otherwise."""
    return _write(workshop, case, folder, tell, packed=True)


def write_features(file: TextIO, about: Mapping[str, Any], slide: CaseSlide, cells: Iterable[CaseCell]) -> None:
    """Write a slide's cells as one FeatureCollection, `about` beside them."""
    wanted, before = measured(slide.feature_names), "\n"
    file.write('{"type": "FeatureCollection", "marrowline": ' + json.dumps(about) + ', "features": [')
    for cell in cells:
        file.write(before + json.dumps(feature_of(cell, wanted), allow_nan=False, separators=(",", ":")))
        before = ",\n"
    file.write("\n]}\n")


def _write(workshop: Workshop, case: Case, folder: Path, tell: Tell, *, packed: bool) -> list[Path]:
    passing, written = Passing.of(case, tell), list[Path]()
    for slide in case.read:
        path = folder / f"slide-{slide.slide_id}.geojson{'.gz' if packed else ''}"
        with transaction(workshop.engine) as conn, whole(path, packed=packed) as file:
            write_features(file, _about(case, slide), slide, passing.along(path.name, all_cells(conn, slide)))
        written.append(path)
    return written


def _about(case: Case, slide: CaseSlide) -> dict[str, Any]:
    """Return what the file is of; QuPath passes over it, and nothing in it names the patient."""
    return {
        "use": NOTICE,
        "slide_id": slide.slide_id,
        "sha256": slide.sha256,
        "run_id": slide.run_id,
        "model": case.model.model_version,
        "weights_sha256": case.model.weights_sha256,
        "mpp_um": slide.mpp_um,
        "coordinates": "px of level 0; (0, 0) is the upper left corner of the first px",
    }
