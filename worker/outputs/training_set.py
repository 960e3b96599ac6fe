"""Writes the cells that persons judged as a set to train on: a picture of each, and a manifest of all.

Names of files are numbers of ours, and a patient is a number too: nothing in the set names anybody but who judged.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from db.judged import JudgedCell, JudgedSlide, judged_slides
from db.records import CellClass
from db.session import transaction
from worker.cells.stain import StainFit
from worker.errors import BadRequestError, BadSlideError, ObjectChangedError
from worker.geometry import Box
from worker.outputs.files import whole
from worker.outputs.panel import NOTICE
from worker.outputs.stored_slides import opened
from worker.slides.reader import SlideReader
from worker.slides.sandbox.documents import plane_from
from worker.slides.slide import RgbImage
from worker.workshop import Tell, Workshop

SIDE_UM = 40.0
"""Side of a picture: what a crop to train on needs, with room to turn and shift it."""
COLUMNS = ("file", "label", "patient_id", "group_id", "mask", "mpp_um", "called", "judged_by", "use")
_PICTURES = "cells"


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What was written, and what was not."""

    folder: Path
    cells: Mapping[str, int]  # per label
    disputed: int  # left out: persons disagree on them
    damaged: int  # left out: their pixels, or their slides, cannot be read any more


def write(workshop: Workshop, folder: Path, tell: Tell, *, lab: str | None, patient: str | None) -> TrainingSet:
    """Write the judged cells of a lab's or a patient's slides; `marrowline train classifier --data` reads the set.

    Raises BadRequestError when there are none or the folder takes no file, ServiceError and SandboxError as staging
    and opening do.
    """
    with transaction(workshop.engine) as conn:
        slides = list(judged_slides(conn, lab=lab, patient=patient))
    judged = sum(len(one.cells) for one in slides)
    if not judged:
        raise BadRequestError("no cell there was judged by a person: `marrowline corrections import` takes them in")
    rows: list[dict[str, object]] = []
    try:
        (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
        for number, slide in enumerate(slides, start=1):
            rows += _written(workshop, slide, folder)
            tell(f"slide {slide.slide_id}", number, len(slides))
    except OSError as error:
        raise BadRequestError(f"{folder} takes no file: {error.strerror}") from error
    _describe(folder, rows)
    disputed = sum(one.disputed for slide in slides for one in slide.cells)
    labels = [str(row["label"]) for row in rows]
    return TrainingSet(
        folder=folder,
        cells={name: labels.count(name) for name in sorted(set(labels))},
        disputed=disputed,
        damaged=judged - disputed - len(rows),
    )


def _written(workshop: Workshop, slide: JudgedSlide, folder: Path) -> list[dict[str, object]]:
    """Write a slide's pictures; return their rows, none for a slide that is gone or cannot be opened any more."""
    cells = [one for one in slide.cells if not one.disputed]
    try:
        with opened(workshop, slide.obj, slide.files, slide.sha256) as reader:
            return list(_pictured(reader, slide, cells, folder))
    except (BadSlideError, ObjectChangedError):
        return []


def _pictured(
    reader: SlideReader, slide: JudgedSlide, cells: Sequence[JudgedCell], folder: Path
) -> Iterator[dict[str, object]]:
    plane, background = plane_from(dict(slide.plan["plane"])), StainFit.from_json(slide.plan["stain"]).background
    side = round(SIDE_UM / plane.mpp_um)
    corners = [(int(one.x_l0 / plane.factor) - side // 2, int(one.y_l0 / plane.factor) - side // 2) for one in cells]
    boxes = [Box(x=x, y=y, width=side, height=side) for x, y in corners]
    with closing(reader.tiles(plane, boxes, background)) as tiles:
        for one, tile in zip(cells, tiles, strict=True):
            if not isinstance(tile, BadSlideError):
                name = f"{_PICTURES}/{one.run_id}-{one.batch_no}-{one.cell_no}.png"
                _save(folder / name, tile)
                yield _row(slide, one, name, plane.mpp_um)


def _save(path: Path, rgb: RgbImage) -> None:
    _, png = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    path.write_bytes(png.tobytes())


def _row(slide: JudgedSlide, cell: JudgedCell, name: str, mpp_um: float) -> dict[str, object]:
    return {
        "file": name,
        "label": cell.cell_class,
        "patient_id": f"P{slide.patient_id}",
        "group_id": f"S{slide.slide_id}",
        "mask": "",
        "mpp_um": f"{mpp_um:.6g}",
        "called": cell.called or "abstained",
        "judged_by": f"'{cell.made_by}" if cell.made_by[:1] in "=+-@" else cell.made_by,
        "use": NOTICE,
    }


def _describe(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with whole(folder / "manifest.csv") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    if any(row["label"] == CellClass.MEGAKARYOCYTE for row in rows):
        # No class that is trained fits one: as an outlier it teaches a network to abstain.
        with whole(folder / "classes.json") as file:
            json.dump({CellClass.MEGAKARYOCYTE.value: []}, file)
