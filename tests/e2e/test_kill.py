"""kill -9 of any part in mid-slide: the run finishes with the cells and the verdict of an undisturbed one."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.line import Line, eventually, started
from tests.support.models import write_tiny_model
from tests.support.smears import write_smear

CELLS = """
    SELECT c.x_l0, c.y_l0, c.cell_class, c.features ->> 'nucleus_area_um2' AS area FROM report.cells c
     WHERE c.patient = '{patient}' ORDER BY 1, 2
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("kill")
    write_tiny_model(folder / "models")
    small_steps = {"tile_core_px": "128", "tiles_per_batch": "1"}
    with started(folder / "home", models_dir=str(folder / "models"), model="tiny", **small_steps) as line:
        yield line


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smear(tmp_path_factory.mktemp("slide") / "smear.tif", seed=5, side_px=1536)


@pytest.fixture(scope="module")
def undisturbed(line: Line, slide: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return result_of(line, slide, "undisturbed")


def result_of(line: Line, slide: Path, patient: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    (verdict,) = line.json("run", slide, "--patient", patient)
    return line.sql(CELLS.format(patient=patient)), comparable(verdict)


def comparable(verdict: dict[str, Any]) -> dict[str, Any]:
    return {name: verdict[name] for name in ("finding", "cells", "shares", "slides_done", "rule")}


def part(line: Line, name: str) -> psutil.Process:
    """Return a part of the stack: the worker's child or main process, the scheduler, or Redis."""
    if name == "redis":
        (redis,) = (p for p in psutil.process_iter(["name", "cwd"]) if is_redis(p, line))
        return redis
    word = "scheduler" if name == "scheduler" else "worker"
    mine = [p for p in line.processes() if word in p.cmdline()[2:]]
    children = [p for p in mine if p.ppid() in {m.pid for m in mine}]
    (chosen,) = children if name == "worker child" else [p for p in mine if p not in children]
    return chosen


def is_redis(process: psutil.Process, line: Line) -> bool:
    return bool(process.info["name"].startswith("redis-server") and process.info["cwd"] == str(line.home / "redis"))


def batches_written(line: Line, patient: str) -> int:
    query = f"SELECT coalesce(max(batches_written), 0) FROM report.slides WHERE patient = '{patient}'"
    return int(line.watch(query))


@pytest.mark.parametrize("victim", ["worker child", "worker main", "scheduler", "redis"])
def test_a_killed_part_changes_nothing(
    line: Line, slide: Path, undisturbed: tuple[list[dict[str, Any]], dict[str, Any]], victim: str
) -> None:
    patient = victim.replace(" ", "-")
    copy = line.home / "bucket" / "default" / patient / "smear.tif"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(slide, copy.with_suffix(".part"))
    copy.with_suffix(".part").rename(copy)
    eventually(lambda: batches_written(line, patient) >= 3, within_s=60, what="three batches are written")
    part(line, victim).send_signal(signal.SIGKILL)
    assert batches_written(line, patient) < 144, "the slide was read before anything was killed"

    eventually(lambda: state(line, patient) == "done", within_s=90, what="the run is done")
    cells, verdict = undisturbed
    assert line.sql(CELLS.format(patient=patient)) == cells
    (found,) = line.json("patients", "--patient", patient)
    assert comparable(found) == verdict


def state(line: Line, patient: str) -> str:
    return str(line.watch(f"SELECT max(state) FROM report.runs WHERE patient = '{patient}'"))
