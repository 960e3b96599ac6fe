"""One worker reads slides with two model versions in turn, and the one that is altered keeps only itself waiting."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import cell_reports, models, reports, runs
from db.comparison import difference
from db.records import CellClass
from db.session import transaction
from scheduler.model_files import document_of
from tests.support.models import write_tiny_model
from tests.support.registry import altered
from tests.support.rows import add, execute, scalar
from tests.support.smears import write_smear
from worker.config import WorkerSettings
from worker.nets.cards import describe, find
from worker.nets.registry import load
from worker.read_run import Bench, Outcome, read_run
from worker.rules import DEFAULT_RULE
from worker.staging import CacheSpec
from worker.store_folder import FolderStore
from worker.verdict import decide

CROPS_PX = {"old": 48, "new": 64}
FEW = {CellClass.NEUTROPHIL: 8, CellClass.LYMPHOBLAST: 8}


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Bench:
    """A worker whose site has read one slide with `old` and is to read it with `new`."""
    store, folder = FolderStore(tmp_path / "bucket"), tmp_path / "models"
    for seed in (1, 2):
        path = tmp_path / "bucket" / "lab" / "patient" / f"{seed}.tif"
        write_smear(path, seed=seed, side_px=640, composition=FEW)
    for name, crop_px in CROPS_PX.items():
        write_tiny_model(folder, name=name, crop_px=crop_px)
    with transaction(engine) as conn:
        for name in CROPS_PX:
            models.register_model(conn, describe(name, folder), document_of(find(name, folder).card))
        models.activate(conn, "old", decide)
        for obj in store.list():
            add(conn, obj)
        models.read_archive(conn, "new")
    execute(engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    return Bench(
        engine=engine,
        store=store,
        cache=CacheSpec(folder=tmp_path / "cache", max_bytes=10**8, reserve_bytes=0),
        settings=WorkerSettings(models_dir=folder),
        worker_id="w1",
        load_model=lru_cache(maxsize=2)(lambda name: load(name, folder, "cpu")),
    )


def runs_of(engine: Engine, name: str) -> list[int]:
    with transaction(engine) as conn:
        return [run.run_id for run in reports.runs(conn) if run.model_version == name]


def test_a_worker_reads_with_two_model_versions_in_turn(engine: Engine, bench: Bench) -> None:
    old, new = runs_of(engine, "old"), runs_of(engine, "new")
    for run_id in (old[0], new[0], old[1]):
        assert read_run(run_id, bench) is Outcome.DONE
    with transaction(engine) as conn:
        (shown,) = reports.patients(conn)
        cells = {name: cell_reports.cells(conn, run_id=run_id) for name, run_id in (("old", old[0]), ("new", new[0]))}
        assert runs.due(conn, 10) == [new[1]]
    assert (shown.model_version, shown.slides_done, shown.slides_open) == ("old", 2, 0)
    assert len(cells["old"]) == len(cells["new"]) > 0  # the same segmenter found them
    assert [one.probabilities for one in cells["old"]] != [one.probabilities for one in cells["new"]]
    assert difference(engine, "old", "new", decide).reach_after.to_read == 1


def test_an_altered_model_keeps_only_its_own_runs_waiting(engine: Engine, bench: Bench) -> None:
    altered(bench.settings.models_dir / "new.safetensors")
    assert read_run(runs_of(engine, "new")[0], bench) is Outcome.RETRY
    assert read_run(runs_of(engine, "old")[0], bench) is Outcome.DONE
    said = scalar(engine, "SELECT error_code || ': ' || error_cause FROM run WHERE state = 'retry_wait'")
    assert said.startswith("model: ")
    assert "altered or incomplete" in said
    assert scalar(engine, "SELECT attempt - releases FROM run WHERE state = 'retry_wait'") == 0
