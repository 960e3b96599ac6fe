"""The demonstration: drawn smears of three patients through the real line, beside what was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from db.records import NOT_COUNTED, CellClass
from db.reports import PatientReport
from scheduler.embedded.home import write_whole
from scheduler.upload import Case, Upload, plan_uploads
from worker.drawing.demo import draw_demo
from worker.storage import ObjectStore

SEED = 2026
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class DrawnSlide:
    """A slide file of the demonstration and what was drawn on it."""

    path: Path
    lab: str
    patient: str
    specimen: str
    truth: Mapping[str, int]  # nucleated cells by class
    expected: str  # finding of the patient


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One patient's finding beside the truth."""

    patient: str
    finding: str
    expected: str
    cells: int
    drawn: int  # of the classes that count
    shares: Mapping[str, float]  # drawn shares of the counted cells
    found: Mapping[str, float | None]  # the same as they were found

    @property
    def agrees(self) -> bool:
        """Whether the finding is the one that was drawn."""
        return self.finding == self.expected

    @property
    def excess(self) -> float:
        """How many more cells were counted than drawn, as a share of those drawn."""
        return self.cells / self.drawn - 1


def drawn_slides(folder: Path, progress: Progress) -> list[DrawnSlide]:
    """Return the slides of the demonstration, drawing them unless this version has drawn them here before."""
    record = folder / "slides.json"
    made_by = {"version": version("marrowline"), "seed": SEED}
    if record.is_file():
        stored = json.loads(record.read_text(encoding="utf-8"))
        slides = [_from_json(entry, folder) for entry in stored["slides"]]
        if stored["made_by"] == made_by and all(slide.path.is_file() for slide in slides):
            return slides
    slides = [
        DrawnSlide(
            path=slide.path,
            lab=slide.lab,
            patient=slide.patient,
            specimen=slide.specimen.value,
            truth={name.value: count for name, count in slide.truth.items()},
            expected=slide.expected.value,
        )
        for slide in draw_demo(folder, seed=SEED, progress=progress)
    ]
    listed = [{**vars(slide), "path": str(slide.path.relative_to(folder))} for slide in slides]
    write_whole(record, json.dumps({"made_by": made_by, "slides": listed}, indent=1))
    return slides


def uploads(store: ObjectStore, slides: Sequence[DrawnSlide]) -> list[tuple[Upload, bytes]]:
    """Return what is to be stored, each slide with its sidecar."""
    planned = []
    for slide in slides:
        case = Case(lab=slide.lab, patient=slide.patient, specimen=slide.specimen)
        (upload,) = plan_uploads(store, [(slide.path, slide.path.name)], case)
        planned.append((upload, case.sidecar()))
    return planned


def compare(reports: Sequence[PatientReport], slides: Sequence[DrawnSlide]) -> list[Comparison]:
    """Set each patient's report beside the truth of that patient's slides."""
    return [_compared(report, [slide for slide in slides if slide.patient == report.patient]) for report in reports]


def _compared(report: PatientReport, slides: Sequence[DrawnSlide]) -> Comparison:
    counted = [name for name in CellClass if name not in NOT_COUNTED]
    totals = {name.value: sum(slide.truth.get(name.value, 0) for slide in slides) for name in counted}
    drawn = sum(totals.values())
    return Comparison(
        patient=report.patient,
        finding=report.finding,
        expected=slides[0].expected,
        cells=report.cells,
        drawn=drawn,
        shares={name: totals[name] / drawn for name in report.shares},
        found={name: share.value for name, share in report.shares.items()},
    )


def _from_json(stored: dict[str, Any], folder: Path) -> DrawnSlide:
    return DrawnSlide(**{**stored, "path": folder / stored["path"]})
