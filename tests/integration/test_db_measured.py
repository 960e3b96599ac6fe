"""What is stored of a run's cells when it is done, held against numpy, scipy and the fuzzy system's own inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from sqlalchemy import Engine

from db import patients, runs
from db.counts import Measured, SlideTally, Stop
from db.records import Batch, Cell
from db.session import transaction
from tests.support.rows import add_slide, cell, decide, plan, taken
from worker.counting.course import count
from worker.counting.dispersion import measured_over
from worker.fuzzy.inputs import nucleus_offset

KINDS = ("lymphoblast", "plasma_cell", "lymphocyte", "smudge")


def drawn(no: int, kind: str, rng: np.random.Generator) -> Cell:
    """Return a cell with an outline that is no circle, and features that its medians rest on."""
    x, y = rng.integers(1000, 90_000, 2).tolist()
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = rng.uniform(20, 60, 12)
    points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1).round().astype(int)
    features = {
        "cell_area_um2": float(np.float32(rng.uniform(10, 900))),
        "nc_ratio": float(np.float32(rng.uniform(0.2, 1.0))),
        "nucleus_area_um2": float(np.float32(rng.uniform(10, 120))),
    }
    outline = tuple((int(px), int(py)) for px, py in points)
    return replace(
        cell(no, kind, abstained=rng.random() < 0.1),
        x_l0=x + rng.uniform(-20, 20),
        y_l0=y + rng.uniform(-20, 20),
        features=features,
        outline_l0=outline,
    )


def read_cells(engine: Engine, batches: list[list[Cell]], stop: Stop | None = None) -> SlideTally:
    claim = taken(engine, add_slide(engine, "a"))
    runs.store_plan(engine, claim, plan(n_batches=len(batches)))
    for no, cells in enumerate(batches):
        runs.write_batch(engine, claim, Batch(no=no, cells=tuple(cells)))
    runs.finish(engine, claim, decide, stop)
    with transaction(engine) as conn:
        (specimen,) = patients.tally(conn, 1, 1).specimens
    (slide,) = specimen.slides
    assert (specimen.counts, specimen.abstained) == (slide.counts, slide.abstained)
    return slide


def test_looks_of_each_class_are_those_of_its_called_cells(lab: Engine) -> None:
    rng = np.random.default_rng(7)
    batches = [[drawn(no, KINDS[int(k)], rng) for no, k in enumerate(rng.integers(0, 4, 12))] for _ in range(9)]
    slide = read_cells(lab, batches)
    for kind in KINDS:
        every = [one for part in batches for one in part if one.cell_class == kind]
        called = [one for one in every if not one.abstained]
        found, widths = slide.measured[kind], [2 * (c.features["cell_area_um2"] / np.pi) ** 0.5 for c in every]
        assert found.probability == pytest.approx(0.7)
        assert found.nc_ratio == pytest.approx(np.median([one.features["nc_ratio"] for one in called]))
        assert found.nucleus_um2 == pytest.approx(np.median([one.features["nucleus_area_um2"] for one in called]))
        assert found.of_cell_width == sum(5 <= width <= 30 for width in widths)
    plasma = [one for part in batches for one in part if one.cell_class == "plasma_cell" and not one.abstained]
    expected = np.median([nucleus_offset(one, 0.25) for one in plasma])
    assert slide.measured["plasma_cell"].nucleus_offset == pytest.approx(expected, abs=1e-3)


def test_spread_is_pearsons_chi_square_over_groups_of_batches(lab: Engine) -> None:
    rng = np.random.default_rng(8)
    parts = [["lymphoblast"] * int(rng.integers(1, 9)) + ["lymphocyte"] * 6 + ["smudge"] * no for no in range(23)]
    batches = [[cell(no, kind, abstained=no == 7) for no, kind in enumerate(part)] for part in parts]
    slide = read_cells(lab, batches)
    table = np.zeros((20, 2))
    for no, part in enumerate(batches):
        counted = [one for one in part if one.cell_class != "smudge"]
        blasts = sum(one.cell_class == "lymphoblast" and not one.abstained for one in counted)
        table[no % 20] += (blasts, len(counted) - blasts)
    found = slide.measured["lymphoblast"]
    assert found.areas_df == 19
    assert found.areas_chi2 == pytest.approx(chi2_contingency(table, correction=False).statistic)
    assert slide.measured["smudge"].areas_chi2 is None
    while_reading = measured_over(map(count, (Batch(no=no, cells=tuple(cells)) for no, cells in enumerate(batches))))
    for name, one in while_reading.items():
        assert one.areas_df == 19
        assert one.areas_chi2 == pytest.approx(slide.measured[name].areas_chi2)
    assert set(while_reading) == {"lymphoblast", "lymphocyte"}


def test_what_the_looks_of_a_reading_left_of_the_error_is_kept(lab: Engine) -> None:
    stop = Stop(n_read=1, rule="r", look=1, cells=1, share=0.125, reason="clear")
    slide = read_cells(lab, [[cell(0)], [cell(0)]], stop)
    assert (slide.counts, slide.error_share) == ({"lymphocyte": 1}, 0.125)


def test_what_cannot_be_told_stays_unknown(lab: Engine) -> None:
    slide = read_cells(lab, [[cell(0), cell(1, "plasma_cell")]])
    assert slide.error_share == 1.0
    assert slide.measured["lymphocyte"] == Measured(probability=slide.measured["plasma_cell"].probability)
    assert slide.measured["plasma_cell"].nucleus_offset is None
