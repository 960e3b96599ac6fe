"""What the writers of outputs are given: a database, and a folder for a bucket."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from db import runs
from db.session import transaction
from tests.support.rows import add_slide, batch, decide, plan, taken
from worker.config import StoreSettings, WorkerSettings
from worker.staging import CacheSpec
from worker.storage import open_store
from worker.workshop import Workshop

_AT_ONCE = 50_000
"""Cells of one statement, which may take some seconds on a busy machine."""
_CELLS = """
INSERT INTO cell SELECT %(run)s, 0, n, 50 * (n %% 1000) + 20, 50 * (n / 1000) + 20, 'lymphocyte', n %% 50 = 0,
       ARRAY[0.1, 0.1, 0.7, 0.1], ARRAY[40 + n %% 7, 0.9] FROM generate_series(%(first)s, %(last)s) AS n
"""
_OUTLINES = """
INSERT INTO outline SELECT %(run)s, 0, n,
       ARRAY[x + r, y, x + 12, y + 11, x, y + r, x - 12, y + 11, x - r, y, x - 12, y - 11, x, y - r, x + 12, y - 11]
  FROM (SELECT n, 50 * (n %% 1000) + 20 AS x, 50 * (n / 1000) + 20 AS y, 16 + n %% 4 AS r
          FROM generate_series(%(first)s, %(last)s) AS n) AS placed
"""
_NUMBER = "UPDATE batch SET n_cells = 1 + %(last)s WHERE run_id = %(run)s"


def workshop_on(engine: Engine, folder: Path) -> Workshop:
    """Return a workshop whose bucket, cache and models lie in a folder."""
    bucket = folder / "bucket"
    bucket.mkdir()
    return Workshop(
        engine=engine,
        store=open_store(StoreSettings(bucket=str(bucket))),
        cache=CacheSpec(folder=folder / "cache", max_bytes=10**9, reserve_bytes=0),
        models_dir=folder / "models",
        settings=WorkerSettings(),
    )


def read_many(engine: Engine, cells: int, *, patient: str = "patient") -> int:
    """Read one slide with this many cells beside one, outlined ones in rows; return its run."""
    run_id = add_slide(engine, patient=patient)
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch())
    for first in range(1, cells + 1, _AT_ONCE):
        given = {"run": run_id, "first": first, "last": min(cells, first + _AT_ONCE - 1)}
        with transaction(engine) as conn:
            for statement in (_CELLS, _OUTLINES, _NUMBER):
                conn.exec_driver_sql(statement, given)
    runs.finish(engine, claim, decide)
    return run_id
