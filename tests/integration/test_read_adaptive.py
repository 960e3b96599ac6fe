"""A run that may stop early does so at the same batch, with the same counts, whoever reads how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import models
from db.records import CellClass, Specimen
from db.session import transaction
from scheduler.model_files import document_of
from tests.support.invariants import violations
from tests.support.models import write_tiny_model
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

ADAPTIVE = "marrowline-2026.3-adaptive"
ALIKE = ("lymphoblast", "plasma_cell", "lymphocyte", "neutrophil")
"""Classes of an untrained model that then calls every cell alike: a run is clear of its threshold at the first look."""
STOP = (
    "SELECT (batches, batches_read, stop_rule, stop_look, stop_cells, stop_reason) FROM report.runs WHERE run_id = {}"
)
COUNTING = """
    SELECT array_agg(concat_ws(' ', one ->> 'slide_id', one ->> 'look', one ->> 'cells', one ->> 'batches_read'))
      FROM report.patients, jsonb_array_elements(evidence -> 'counting') AS one
"""
COUNTS = "SELECT array_agg((cell_class, called, abstained) ORDER BY cell_class)::text FROM run_count WHERE run_id = {}"
PLACES = (
    "SELECT md5(string_agg(batch_no || ':' || cell_no || ':' || x_l0 || ':' || y_l0, ',' ORDER BY batch_no, cell_no))"
)


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Bench:
    """A worker of a lab whose rule may stop at 200 cells of blood; its bucket holds one smear twice."""
    store, folder = FolderStore(tmp_path / "bucket"), tmp_path / "models"
    first = tmp_path / "bucket" / "lab" / "patient" / "a.tif"
    write_smear(first, seed=3, side_px=1536, composition={CellClass.NEUTROPHIL: 180, CellClass.LYMPHOCYTE: 80})
    first.with_name("b.tif").write_bytes(first.read_bytes())
    write_tiny_model(folder, name="m1", classes=ALIKE)
    with transaction(engine) as conn:
        models.register_model(conn, describe("m1", folder), document_of(find("m1", folder).card))
        models.activate(conn, "m1", decide)
        for obj in store.list():
            add(conn, obj, specimen=Specimen.BLOOD)
    execute(engine, f"UPDATE lab SET rule = '{ADAPTIVE}'")
    return Bench(
        engine=engine,
        store=store,
        cache=CacheSpec(folder=tmp_path / "cache", max_bytes=10**8, reserve_bytes=0),
        settings=WorkerSettings(models_dir=folder, tile_core_px=256, tiles_per_batch=2),
        worker_id="w1",
        load_model=lru_cache(maxsize=1)(lambda name: load(name, folder, "cpu")),
    )


def written(engine: Engine, run_id: int) -> int:
    return int(scalar(engine, f"SELECT count(*) FROM batch WHERE run_id = {run_id}"))


def when_written(bench: Bench, run_id: int, batches: int, then: Callable[[], bool]) -> Bench:
    """Return the bench of a worker to whom something happens once, when so many batches of the run are written."""
    happened: list[int] = []

    def stopping() -> bool:
        if happened or written(bench.engine, run_id) < batches:
            return False
        happened.append(batches)
        return then()

    return replace(bench, stopping=stopping)


def test_a_run_stops_at_its_look_and_every_take_over_comes_to_the_same(engine: Engine, bench: Bench) -> None:
    def taken_over() -> bool:
        execute(engine, "UPDATE run SET lease_until = now() - interval '1 s' WHERE state = 'running'")
        assert read_run(2, replace(bench, worker_id="w3")) is Outcome.DONE
        return False

    assert read_run(1, bench) is Outcome.DONE
    assert read_run(2, when_written(bench, 2, 3, lambda: True)) is Outcome.RELEASED
    assert read_run(2, when_written(bench, 2, 6, taken_over)) is Outcome.FENCED
    stop = scalar(engine, STOP.format(1))
    planned, read, rule, look, cells, *_ = stop.strip("()").split(",")
    assert 3 < int(read) < int(planned)
    assert (rule, look, int(cells) >= 200) == (ADAPTIVE, "200", True)
    assert scalar(engine, STOP.format(2)) == stop
    for facts in (COUNTS, f"{PLACES} FROM cell WHERE run_id = {{}}"):
        assert scalar(engine, facts.format(1)) == scalar(engine, facts.format(2))
    with transaction(engine) as conn:
        assert violations(conn, decide) == []
    assert scalar(engine, COUNTING) == [f"{slide_id} 200 {cells} {read}" for slide_id in (1, 2)]


def test_a_rule_that_changes_while_a_run_is_read_has_it_planned_anew(engine: Engine, bench: Bench) -> None:
    assert read_run(1, when_written(bench, 1, 3, lambda: True)) is Outcome.RELEASED
    execute(engine, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    assert read_run(1, when_written(bench, 1, 1, lambda: True)) is Outcome.RELEASED
    assert written(engine, 1) == 1
    assert scalar(engine, "SELECT plan ? 'counting' FROM run WHERE id = 1") is False
