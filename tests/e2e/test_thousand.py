"""A thousand small slides: none lost, none doubled, and memory that does not grow."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from db.records import CellClass
from tests.support.line import Line, started
from tests.support.models import write_tiny_model
from worker.drawing.smear import SmearSpec, draw_smear

SLIDES, PATIENTS = 1000, 50
WITHIN_S = 1500


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_slides(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "models")
    settings = {"model": "tiny", "max_tasks_per_child": "0", "site_mpp_um": "0.25"}
    with started(tmp_path / "home", models_dir=str(tmp_path / "models"), **settings) as line:
        put_fields(line.home / "bucket")
        memory = watch(line)
        runs = line.sql("SELECT count(*) AS runs, count(DISTINCT key) AS keys, sum(cells) AS cells FROM report.runs")
        states = line.sql("SELECT state, count(*) AS n FROM report.runs GROUP BY state")
        finishes = line.sql("SELECT count(*) AS n FROM report.patients WHERE slides_done = 20 AND slides_open = 0")
    assert states == [{"state": "done", "n": SLIDES}]
    assert (runs[0]["runs"], runs[0]["keys"]) == (SLIDES, SLIDES)
    assert runs[0]["cells"] > SLIDES
    assert finishes == [{"n": PATIENTS}]
    second, last = tenth(memory, 1), tenth(memory, 9)
    print(f"RSS: second tenth {second / 2**20:.0f} MiB, last tenth {last / 2**20:.0f} MiB")  # noqa: T201
    assert last <= 1.05 * second


def put_fields(bucket: Path) -> None:
    """Write the fields, each with its own pixels, under lab/patient/field.png."""
    composition = {CellClass.NEUTROPHIL: 3, CellClass.LYMPHOCYTE: 3}
    spec = SmearSpec(width_px=320, height_px=320, mpp_um=0.25, seed=3, composition=composition)
    pixels = draw_smear(spec).rgb
    for number in range(SLIDES):
        folder = bucket / "lab" / f"patient-{number % PATIENTS:02}"
        folder.mkdir(parents=True, exist_ok=True)
        turned = np.ascontiguousarray(np.roll(pixels, number, axis=1))
        Image.fromarray(turned).save(folder / f"{number:04}.part", format="PNG", compress_level=1)
        (folder / f"{number:04}.part").rename(folder / f"{number:04}.png")


def watch(line: Line) -> list[tuple[int, int]]:
    """Return (slides done, summed RSS in bytes) over time, until all are done."""
    seen = [(0, 0)]
    ended = "SELECT count(*) FROM report.runs WHERE state IN ('done', 'quarantined')"
    end = time.monotonic() + WITHIN_S
    while seen[-1][0] < SLIDES:
        assert time.monotonic() < end, f"{seen[-1][0]} of {SLIDES} slides after {WITHIN_S} s"
        seen.append((line.watch(ended), sum(resident(process) for process in line.processes())))
        time.sleep(0.5)
    return seen


def resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def tenth(memory: list[tuple[int, int]], number: int) -> float:
    """Return the median RSS while that tenth of the slides was read."""
    low, high = number * SLIDES // 10, (number + 1) * SLIDES // 10
    return statistics.median(rss for done, rss in memory if low <= done <= high)
