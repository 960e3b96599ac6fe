"""How a run leaves a worker when its slide cannot be read: which ends are tried again, and which are the slide's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from db.session import transaction
from tests.support.models import write_tiny_model
from tests.support.rows import DEFAULTS, add, execute, scalar, standing
from tests.support.slide_files import texture, write_slide
from worker.config import WorkerSettings
from worker.nets.cards import describe
from worker.nets.registry import load
from worker.read_run import Bench, Outcome, read_run
from worker.rules import RULES
from worker.staging import CacheSpec
from worker.store_folder import FolderStore

KNOWN = "UPDATE model_version SET weights_sha256 = :sha256, classes = :classes, preprocess = CAST(:preprocess AS jsonb)"
ERROR = "SELECT error_code || ': ' || error_cause FROM run"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "bucket").mkdir()
    return FolderStore(tmp_path / "bucket")


@pytest.fixture
def run_id(lab: Engine, store: FolderStore, tmp_path: Path) -> int:
    store.put_file("lab/patient/a.tif", write_slide(tmp_path / "a.tif", [texture(300, 300)]))
    obj = store.head("lab/patient/a.tif")
    assert obj is not None
    with transaction(lab) as conn:
        return add(conn, obj)


def bench_of(engine: Engine, store: FolderStore, folder: Path, *, deadline_s: float) -> Bench:
    write_tiny_model(folder / "models", name="m1")
    version = describe("m1", folder / "models")
    known = {"sha256": version.weights_sha256, "classes": list(version.classes), "preprocess": version.preprocess}
    with transaction(engine) as conn:
        conn.execute(text(KNOWN), {**known, "preprocess": json.dumps(known["preprocess"])})
    execute(engine, f"UPDATE lab SET rule = '{next(iter(RULES))}'")
    return Bench(
        engine=engine,
        store=store,
        cache=CacheSpec(folder=folder / "cache", max_bytes=10**8, reserve_bytes=0),
        settings=WorkerSettings(read_deadline_s=deadline_s),
        worker_id="w1",
        load_model=lambda name: load(name, folder / "models"),
    )


def test_a_missed_deadline_is_tried_again_until_the_attempts_are_used_up(
    lab: Engine, store: FolderStore, run_id: int, tmp_path: Path
) -> None:
    bench = bench_of(lab, store, tmp_path, deadline_s=1e-4)  # no process begins so fast
    for attempt in range(1, DEFAULTS.max_attempts):
        assert read_run(run_id, bench) is Outcome.RETRY
        assert scalar(lab, ERROR).startswith("reader_stuck: the slide's reader gave no answer within 0.0001 s, twice")
        assert scalar(lab, "SELECT attempt - releases FROM run") == attempt
        execute(lab, "UPDATE run SET next_at = now()")
    assert read_run(run_id, bench) is Outcome.RETRY
    assert scalar(lab, "SELECT state FROM run") == "quarantined"
    assert scalar(lab, ERROR).startswith("reader_stuck: ")
    with transaction(lab) as conn:
        assert standing(conn).quarantined == 1


def test_a_run_is_not_read_with_another_model_of_the_same_name_and_weights(
    lab: Engine, store: FolderStore, run_id: int, tmp_path: Path
) -> None:
    bench = bench_of(lab, store, tmp_path, deadline_s=60)
    execute(lab, 'UPDATE model_version SET preprocess = preprocess || \'{"segmenter": "another"}\'')
    assert read_run(run_id, bench) is Outcome.RETRY
    assert scalar(lab, ERROR).startswith("model: m1: this worker's model differs in segmenter")
    assert scalar(lab, "SELECT attempt - releases FROM run") == 0


def test_a_run_waits_for_a_worker_that_knows_its_labs_rule(
    lab: Engine, store: FolderStore, run_id: int, tmp_path: Path
) -> None:
    bench = bench_of(lab, store, tmp_path, deadline_s=60)
    execute(lab, "UPDATE lab SET rule = 'marrowline-2031.1'")
    assert read_run(run_id, bench) is Outcome.RETRY
    assert scalar(lab, ERROR).startswith(
        "unknown_rule: the lab's rule set 'marrowline-2031.1' is none of this worker's"
    )
    assert scalar(lab, "SELECT attempt - releases FROM run") == 0
