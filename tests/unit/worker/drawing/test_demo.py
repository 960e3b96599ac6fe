"""worker.drawing.demo: three patients whose truth clears the rules' limits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from db.records import CellClass, Finding, Specimen
from worker.drawing.demo import counts, demo_jobs, draw_demo
from worker.drawing.smear import draw_smear
from worker.drawing.truth import read_truth


def drawn_cells(patient: str, seed: int) -> Counter[CellClass]:
    total: Counter[CellClass] = Counter()
    for job in demo_jobs(seed=seed):
        if job.patient == patient:
            total.update(job.spec.composition)
    return total


def limits(cells: Counter[CellClass], cell_class: CellClass) -> tuple[float, float]:
    interval = binomtest(cells[cell_class], cells.total()).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


@pytest.mark.parametrize("seed", [2026, 1, 77])
def test_patients_clear_the_limits_of_their_findings(seed: int) -> None:
    all_like, mm_like, normal = (drawn_cells(name, seed) for name in ("ALL-like", "MM-like", "normal"))
    assert min(cells.total() for cells in (all_like, mm_like, normal)) >= 600
    assert limits(all_like, CellClass.LYMPHOBLAST)[0] > 0.5
    assert limits(all_like, CellClass.PLASMA_CELL)[1] < 0.05
    assert limits(mm_like, CellClass.PLASMA_CELL)[0] > 0.2
    assert limits(mm_like, CellClass.LYMPHOBLAST)[1] < 0.05
    assert limits(normal, CellClass.LYMPHOBLAST)[1] < 0.05
    assert limits(normal, CellClass.PLASMA_CELL)[1] < 0.05


def test_slides_differ_and_repeat_with_the_seed() -> None:
    jobs = demo_jobs(seed=3)
    assert jobs == demo_jobs(seed=3)
    assert len({job.spec.seed for job in jobs}) == 6
    assert {job.expected for job in jobs} == {
        Finding.CONSISTENT_WITH_ALL,
        Finding.CONSISTENT_WITH_MM,
        Finding.NO_EVIDENCE,
    }


@pytest.mark.parametrize("total", [0, 1, 17, 330])
def test_counts_add_up(total: int) -> None:
    shares = {CellClass.LYMPHOBLAST: 0.6, CellClass.NEUTROPHIL: 0.3, CellClass.MONOCYTE: 0.1}
    whole = counts(shares, total, np.random.default_rng(1))
    assert sum(whole.values()) == total
    assert min(whole.values()) >= 0


@pytest.mark.slow
def test_six_slides_with_their_truth(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    slides = draw_demo(tmp_path, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(7))
    for slide, job in zip(slides, demo_jobs(), strict=True):
        assert slide.path == tmp_path / "demo" / job.patient / f"{job.slide}.tif"
        assert slide.specimen is Specimen.MARROW
        wanted = {name: count for name, count in job.spec.composition.items() if count}
        assert slide.truth == read_truth(slide.path).composition == wanted
    assert read_truth(slides[0].path) == draw_smear(demo_jobs()[0].spec).known
