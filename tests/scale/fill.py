"""A database as a large laboratory's would be after a year, made by SQL from a seed: cells by the hundred million."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from db import patients
from db.records import CellClass, ModelVersion
from db.session import transaction
from tests.support.rows import use_model
from worker.cells.features import NAMES
from worker.verdict import decide

MODEL = ModelVersion(name="scale", weights_sha256="a" * 64, classes=tuple(CellClass), preprocess={"mpp_um": 0.25})
CELLS_PER_BATCH = 100
BATCHES = 50
CELLS_PER_SLIDE = CELLS_PER_BATCH * BATCHES
SLIDES_PER_PATIENT = 2
LABS = 10
SPARE_BYTES = 15_000_000_000
"""Left free on the disk, whatever happens."""
_LOG_BYTES = 3_000_000_000
_RUNS_AT_ONCE = 40
_POOL = 4096
_TRIAL_RUNS = 20

Tell = Callable[[str], None]

_AS_REPLICA = "SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = 0;"
# Times lie within a year; every fiftieth run is in quarantine, every hundredth waits.
_SLIDES = """
    SELECT setseed(:seed / 1000000.0);
    INSERT INTO lab (code, rule, default_specimen)
      SELECT 'lab' || n, 'marrowline-2026.1', 'marrow' FROM generate_series(1, :labs) AS n;
    INSERT INTO patient (lab_id, pseudonym, rev, shown_model_id, created_at)
      SELECT 1 + n % :labs, 'P-' || n, 0, 1, now() - interval '1 year' FROM generate_series(1, :patients) AS n;
    INSERT INTO slide (patient_id, bucket, key, size_bytes, last_modified, state, specimen, taken_at, registered_at,
                       version_id, etag)
      SELECT 1 + (n - 1) / :per_patient, 'bucket', 'lab' || n || '/' || n || '.svs', 1000000000, at, 'current',
             'marrow', at - interval '1 day', at, '', 'e'
        FROM generate_series(1, :slides) AS n, LATERAL (SELECT now() - n * interval '1 year' / :slides AS at) AS moment;
    INSERT INTO run (slide_id, model_version_id, state, attempt, max_attempts, fence, created_at, finished_at, plan,
                     plan_digest, n_batches, n_cells, mpp_um, mpp_source, area_shares, stain_profile, feature_names,
                     changed_by, change_reason, error_code, error_cause, error_remedy)
      SELECT slide.id, 1, kind.state, 1, 5, 1, registered_at,
             registered_at + (60 + 600 * random() * random()) * interval '1 s', tiles.plan, 'digest', :batches,
             CASE kind.state WHEN 'done' THEN :per_slide END, 0.25, 'header', '{"countable": 0.4, "thick": 0.6}',
             jsonb_build_object('background_r', 220 + 10 * random(), 'nucleus_r', 0.5 + 0.1 * random()), :names,
             'w1', 'all batches written', kind.code, kind.code, kind.code
        FROM slide,
             LATERAL (SELECT CASE WHEN id % 100 = 7 THEN 'pending' WHEN id % 50 = 3 THEN 'quarantined' ELSE 'done' END
                               AS state, CASE WHEN id % 50 = 3 THEN 'out_of_focus' END AS code) AS kind,
             (SELECT jsonb_build_object('tiles', jsonb_agg(n)) AS plan FROM generate_series(1, 500) AS n) AS tiles
       ORDER BY slide.id;
    INSERT INTO area (run_id, no, kind, x_l0, y_l0, width_l0, height_l0, mm2)
      SELECT run.id, n, 'monolayer', 10000 * n, 0, 9000, 30000, 17 FROM run, generate_series(0, 4) AS n;
    INSERT INTO batch (run_id, no, fence, n_cells, written_at, x_min_l0, y_min_l0, x_max_l0, y_max_l0)
      SELECT run.id, n, 1, :per_batch, finished_at,
             n % 10 * 6000, n / 10 * 8000, n % 10 * 6000 + 6000, n / 10 * 8000 + 8000
        FROM run, generate_series(0, :batches - 1) AS n WHERE run.state = 'done';
    INSERT INTO transition (run_id, from_state, to_state, fence, attempt, actor, reason, at)
      SELECT run.id, step.before, coalesce(step.after, run.state), step.fence, step.fence, 'w1', 'step',
             created_at + step.part * (finished_at - created_at)
        FROM run, (VALUES (1, NULL, 'pending', 0, 0.0), (2, 'pending', 'running', 1, 0.1), (3, 'running', NULL, 1, 1.0))
             AS step (no, before, after, fence, part)
       WHERE step.no = 1 OR run.state <> 'pending' ORDER BY run.id, step.no;
    INSERT INTO audit (seq, kind, subject, row_sha256, sealed_at, hash)
      SELECT row_number() OVER (ORDER BY id), 'transition', id, repeat(md5(id::text), 2), at, repeat(md5(id::text), 2)
        FROM transition;
    CREATE TABLE pool AS
      SELECT no, (CAST(:classes AS text[]))[1 + least(no * 14 / :pool, 13)] AS cell_class, no % 20 = 0 AS abstained,
             (SELECT array_agg((CASE WHEN n = 1 + no * 14 / :pool THEN 0.9 ELSE 0.1 * random() / 13 END)::real)
                FROM generate_series(1, 14) AS n) AS probabilities,
             (SELECT array_agg((100 * random())::real) FROM generate_series(1, cardinality(:names)) AS n
               WHERE no >= 0) AS features,
             (SELECT array_agg((2000 + 60 * cos(n) + 5 * random())::int) FROM generate_series(1, 64) AS n
               WHERE no >= 0) AS points
        FROM generate_series(0, :pool - 1) AS no;
    CREATE UNIQUE INDEX ON pool (no); ANALYZE pool, run;
"""
_DRAWN = """
    FROM run, generate_series(0, :batches - 1) AS b, generate_series(0, :per_batch - 1) AS c,
         LATERAL (SELECT hashint8extended(run.id * 1000000 + b * 1000 + c, :seed) AS h) AS drawn
         JOIN pool ON pool.no = (drawn.h & (:pool - 1))
   WHERE run.state = 'done' AND run.id BETWEEN :first AND :last
"""
_CELLS = f"""
    INSERT INTO cell (run_id, batch_no, cell_no, x_l0, y_l0, cell_class, abstained, probabilities, features)
    SELECT run.id, b, c, b % 10 * 6000 + ((drawn.h >> 12) & 8191) * 6000.0 / 8192,
           b / 10 * 8000 + ((drawn.h >> 25) & 8191) * 8000.0 / 8192, cell_class, abstained, probabilities, features
    {_DRAWN}
"""
_OUTLINES = f"INSERT INTO outline (run_id, batch_no, cell_no, points_l0) SELECT run.id, b, c, points {_DRAWN}"
_COUNTS = """
    INSERT INTO run_count (run_id, cell_class, called, abstained, counted)
    SELECT run.id, pool.cell_class, count(*) FILTER (WHERE NOT abstained) * :per_slide / :pool,
           count(*) FILTER (WHERE abstained) * :per_slide / :pool,
           pool.cell_class NOT IN ('megakaryocyte', 'platelet', 'smudge', 'artefact')
      FROM run CROSS JOIN pool WHERE run.state = 'done' AND run.id BETWEEN :first AND :last GROUP BY 1, 2
"""
_JUDGED = 300
"""Patients whose verdicts are computed as the product does; the others get copies of these."""
_COPIED = """
    INSERT INTO {name} SELECT (jsonb_populate_record(old, jsonb_build_object('patient_id', patient.id))).*
      FROM {name} AS old JOIN patient ON 1 + (patient.id - 1) % {judged} = old.patient_id AND patient.id > {judged}
    ON CONFLICT DO NOTHING
"""
_SUMMED = """
    SELECT sum_up_again();
    SELECT count(stain_read(id)) FROM (SELECT id FROM run WHERE state = 'done' ORDER BY finished_at, id) AS in_order;
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is made."""

    cells: int
    outlines: bool
    seed: int

    @property
    def slides(self) -> int:
        """The slides that many cells lie on, and those in quarantine or waiting besides."""
        return round(self.cells / CELLS_PER_SLIDE / 0.97)


def fill(engine: Engine, size: Size, data: Path, tell: Tell) -> None:
    """Fill an empty, migrated database, unless the disk below `data` would be left too full: then RuntimeError."""
    use_model(engine, MODEL)
    with transaction(engine) as conn:
        conn.exec_driver_sql(_AS_REPLICA)
        for statement in _SLIDES.split(";\n"):
            conn.execute(text(statement), _parameters(size)) if statement.strip() else None
    _check_disk(engine, size, data, tell)
    starts = range(_TRIAL_RUNS + 1, size.slides + 1, _RUNS_AT_ONCE)
    with ThreadPoolExecutor(2) as pool:
        for done, _ in enumerate(pool.map(lambda at: _cells(engine, size, at, at + _RUNS_AT_ONCE - 1), starts)):
            if done % 250 == 249:
                tell(f"{(done + 1) * _RUNS_AT_ONCE:,} of {size.slides:,} slides")
                _spare(data)
    conclude(engine, tell)


def _parameters(size: Size) -> dict[str, object]:
    return {
        "seed": size.seed,
        "labs": LABS,
        "patients": -(-size.slides // SLIDES_PER_PATIENT),
        "slides": size.slides,
        "per_patient": SLIDES_PER_PATIENT,
        "per_batch": CELLS_PER_BATCH,
        "batches": BATCHES,
        "per_slide": CELLS_PER_SLIDE,
        "pool": _POOL,
        "names": list(NAMES),
        "classes": [name.value for name in CellClass],
    }


def _cells(engine: Engine, size: Size, first: int, last: int) -> None:
    parameters = _parameters(size) | {"first": first, "last": min(last, size.slides)}
    with transaction(engine) as conn:
        conn.exec_driver_sql(_AS_REPLICA)
        for statement in (_CELLS, _COUNTS, *([_OUTLINES] if size.outlines else [])):
            conn.execute(text(statement), parameters)


def _check_disk(engine: Engine, size: Size, data: Path, tell: Tell) -> None:
    """Write the first slides, say how wide their rows are, and refuse to go on where all would not fit."""
    before = _stored(engine)
    _cells(engine, size, 1, _TRIAL_RUNS)
    with transaction(engine) as conn:
        rows = conn.exec_driver_sql("SELECT count(*) FROM cell").scalar_one()
        heap = conn.exec_driver_sql("SELECT avg(pg_column_size(cell.*)) FROM cell").scalar_one()
    width = (_stored(engine) - before) / rows
    need, free = round(width * size.cells) + _LOG_BYTES, shutil.disk_usage(data).free
    tell(f"row of a cell {heap:.0f} bytes, with its index{' and outline' * size.outlines} {width:.0f} on disk;")
    tell(f"{size.cells:,} need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    if free - need < SPARE_BYTES:
        raise RuntimeError(
            f"{need / 1e9:.1f} GB would leave less than {SPARE_BYTES / 1e9:.0f} GB free: make fewer cells"
        )


def _stored(engine: Engine) -> int:
    names = "(SELECT inhrelid AS one FROM pg_inherits WHERE inhparent IN ('cell'::regclass, 'outline'::regclass)) AS t"
    with transaction(engine) as conn:
        return int(conn.exec_driver_sql(f"SELECT sum(pg_total_relation_size(one)) FROM {names}").scalar_one())


def _spare(data: Path) -> None:
    if shutil.disk_usage(data).free < SPARE_BYTES:
        raise RuntimeError("others have taken the disk's room: stopped")


def conclude(engine: Engine, tell: Tell) -> None:
    """Give every patient a verdict, make the sums, and gather the planner's statistics."""
    tell("verdicts")
    with transaction(engine) as conn:
        ids = conn.exec_driver_sql(f"SELECT id FROM patient ORDER BY id LIMIT {_JUDGED}").scalars().all()
        patients.recompute_all(conn, ids, decide)
    with transaction(engine) as conn:
        conn.exec_driver_sql(_AS_REPLICA)
        for name in ("verdict", "verdict_history"):
            conn.execute(text(_COPIED.format(name=name, judged=len(ids))))
        conn.exec_driver_sql(_SUMMED)
    tell("statistics")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        _vacuum(conn)


def _vacuum(conn: Connection) -> None:
    """Do what autovacuum does after so many rows: mark their pages as visible to all, and gather statistics."""
    conn.exec_driver_sql("SET statement_timeout = 0")
    conn.exec_driver_sql("VACUUM (ANALYZE)")
