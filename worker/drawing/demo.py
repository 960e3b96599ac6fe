"""The demonstration's six slides: three drawn patients whose findings are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.records import CellClass, Finding, Specimen
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.drawing.truth import write_truth

Shares = Mapping[CellClass, float]

LAB = "demo"
"""The laboratory of the drawn patients."""

_SIDE_PX = 3072
_CELLS_PER_SLIDE = 330
_SLIDES_PER_PATIENT = 2

_NORMAL: Shares = {
    CellClass.NEUTROPHIL: 0.31,
    CellClass.ERYTHROBLAST: 0.24,
    CellClass.IMMATURE_GRANULOCYTE: 0.2,
    CellClass.LYMPHOCYTE: 0.14,
    CellClass.EOSINOPHIL: 0.035,
    CellClass.MONOCYTE: 0.025,
    CellClass.PLASMA_CELL: 0.015,
    CellClass.LYMPHOBLAST: 0.012,
    CellClass.BLAST_OTHER: 0.012,
    CellClass.BASOPHIL: 0.006,
}
"""A normal marrow's differential count, roughly as textbooks give it."""


@dataclass(frozen=True, kw_only=True)
class _Patient:
    name: str
    abnormal: Shares  # of all nucleated cells; the rest is normal marrow
    expected: Finding


_PATIENTS = (
    _Patient(name="ALL-like", abnormal={CellClass.LYMPHOBLAST: 0.6}, expected=Finding.CONSISTENT_WITH_ALL),
    _Patient(name="MM-like", abnormal={CellClass.PLASMA_CELL: 0.3}, expected=Finding.CONSISTENT_WITH_MM),
    _Patient(name="normal", abnormal={}, expected=Finding.NO_EVIDENCE),
)


@dataclass(frozen=True, kw_only=True)
class DemoSlide:
    """A drawn slide file, whose it is, and what the line should find."""

    path: Path  # DIR/lab/patient/slide.tif
    lab: str
    patient: str
    specimen: Specimen
    truth: Mapping[CellClass, int]  # nucleated cells drawn
    expected: Finding  # of the patient, over all its slides


@dataclass(frozen=True, kw_only=True)
class DemoJob:
    """One slide of the demonstration before it is drawn."""

    patient: str
    slide: str  # file name without its ending
    spec: SmearSpec
    expected: Finding


def demo_jobs(*, seed: int = 2026) -> tuple[DemoJob, ...]:
    """Return what the demonstration draws: every patient's slides in order."""
    pairs = [(patient, number) for patient in _PATIENTS for number in range(1, _SLIDES_PER_PATIENT + 1)]
    return tuple(
        DemoJob(
            patient=patient.name,
            slide=f"slide-{number}",
            spec=_spec(patient, seed=seed * 1000 + index),
            expected=patient.expected,
        )
        for index, (patient, number) in enumerate(pairs)
    )


def draw_demo(
    out_dir: Path, *, seed: int = 2026, progress: Callable[[str, int, int], None] | None = None
) -> tuple[DemoSlide, ...]:
    """Draw the slides, each with its truth beside it, as `out_dir/lab/patient/slide-N.tif`.

    `progress` is told the name of the slide, the slides done and their total: before each slide and at the end.
    The same seed gives the same pixels.
    """
    jobs = demo_jobs(seed=seed)
    slides = []
    for done, job in enumerate(jobs):
        if progress:
            progress(f"{job.patient}/{job.slide}", done, len(jobs))
        slides.append(_draw(out_dir, job))
    if progress:
        progress("all slides drawn", len(jobs), len(jobs))
    return tuple(slides)


def _draw(out_dir: Path, job: DemoJob) -> DemoSlide:
    drawn = draw_smear(job.spec)
    path = out_dir / LAB / job.patient / f"{job.slide}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_truth(path, drawn.known)
    write_pyramid(path, drawn.rgb, job.spec.mpp_um)
    return DemoSlide(
        path=path,
        lab=LAB,
        patient=job.patient,
        specimen=Specimen.MARROW,
        truth=drawn.known.composition,
        expected=job.expected,
    )


def _spec(patient: _Patient, *, seed: int) -> SmearSpec:
    rng = np.random.default_rng([seed, 7])
    return SmearSpec(
        width_px=_SIDE_PX,
        height_px=_SIDE_PX,
        seed=seed,
        composition=counts(_mixed(patient.abnormal), _CELLS_PER_SLIDE + int(rng.integers(-15, 16)), rng),
        touching=float(rng.uniform(0.06, 0.14)),
        red_cells_per_mm2=float(rng.uniform(4500, 8000)),
        platelets_per_mm2=float(rng.uniform(60, 220)),
        smudges=int(rng.integers(1, 4)),
    )


def counts(shares: Shares, total: int, rng: np.random.Generator) -> dict[CellClass, int]:
    """Return whole numbers of cells that add up to `total`, each share varied by about a twelfth of itself."""
    wanted = np.array(list(shares.values())) * rng.normal(1.0, 0.08, len(shares)).clip(0.8, 1.2)
    exact = wanted / wanted.sum() * total
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]] += 1
    return dict(zip(shares, (int(n) for n in whole), strict=True))


def _mixed(abnormal: Shares) -> Shares:
    """Return the differential of a marrow that abnormal cells have partly displaced."""
    left = 1.0 - sum(abnormal.values())
    usual = {name: share for name, share in _NORMAL.items() if name not in abnormal}
    scale = left / sum(usual.values())
    return {**abnormal, **{name: share * scale for name, share in usual.items()}}
