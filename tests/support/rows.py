"""Rows for the tests of the database: objects, facts, batches, and a small pure `decide`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from db import models, runs
from db.counts import Share, Tally, Verdict
from db.records import Batch, Cell, Claim, Finding, ModelVersion, Plan, SlideFacts, Specimen, StoredObject
from db.session import transaction

CLASSES = ("lymphoblast", "plasma_cell", "lymphocyte", "smudge")
MODEL = ModelVersion(name="m1", weights_sha256="a" * 64, classes=CLASSES, preprocess={"mpp_um": 0.25})
DEFAULTS = runs.LabDefaults(specimen=Specimen.MARROW, site_mpp_um=0.25, rule="test-rule", max_attempts=3)
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def decide(tally: Tally) -> Verdict:
    """Judge like the real one, only more simply: share of lymphoblasts, and never negative while a slide is open."""
    counted = sum(sum(one.counts.values()) for one in tally.specimens)
    blasts = sum(one.counts.get("lymphoblast", 0) for one in tally.specimens)
    share = blasts / counted if counted else 0.0
    if share >= 0.2:
        finding = Finding.CONSISTENT_WITH_ALL
    elif tally.slides_open or tally.slides_quarantined:
        finding = Finding.INCOMPLETE
    else:
        finding = Finding.NO_EVIDENCE if counted else Finding.INSUFFICIENT
    shares = {"lymphoblast": Share(value=share, ci_low=0.0, ci_high=1.0, threshold=0.2, p_above=0.5)}
    return Verdict(finding=finding, reason=f"{blasts} of {counted}", rule=tally.rule, cells=counted, shares=shares)


def stored(key: str = "lab/patient/a.tif", *, etag: str = "e1", day: int = 0, bucket: str = "bucket") -> StoredObject:
    """Return an object version, last modified on the given day."""
    return StoredObject(bucket=bucket, key=key, etag=etag, size=10, last_modified=DAY + timedelta(days=day))


def use_model(engine: Engine, model: ModelVersion = MODEL) -> None:
    """Register and activate a model version."""
    with transaction(engine) as conn:
        models.register_model(conn, model)
        models.activate(conn, model.name, decide)


def add(conn: Connection, obj: StoredObject, *, lab: str = "lab", patient: str = "patient", **facts: object) -> int:
    """Register an object that makes a run due; return the run."""
    wanted = replace(SlideFacts(lab=lab, patient=patient), **facts)  # type: ignore[arg-type]
    run_id = runs.register(conn, obj, wanted, DEFAULTS, decide)
    assert run_id is not None
    return run_id


def add_slide(engine: Engine, name: str = "a", *, lab: str = "lab", patient: str = "patient") -> int:
    """Register one slide of a patient; return its run."""
    with transaction(engine) as conn:
        return add(conn, stored(f"{lab}/{patient}/{name}.tif"), lab=lab, patient=patient)


def taken(engine: Engine, run_id: int, *, worker_id: str = "w1", lease_s: float = 60) -> Claim:
    """Claim a run that is due."""
    claim = runs.claim(engine, run_id, worker_id=worker_id, lease_s=lease_s)
    assert claim is not None
    return claim


def plan(*, n_batches: int = 1, digest: str = "plan-1") -> Plan:
    """Return a plan."""
    document = {"tiles": n_batches}
    return Plan(
        digest=digest, n_batches=n_batches, document=document, mpp_um=0.25, mpp_source="header", sha256="b" * 64
    )


def cell(no: int, cell_class: str = "lymphocyte", *, abstained: bool = False) -> Cell:
    """Return a cell whose probabilities name its class."""
    probabilities = tuple(0.7 if name == cell_class else 0.1 for name in CLASSES)
    return Cell(
        cell_no=no,
        x_l0=10.5 * no,
        y_l0=20.25,
        cell_class=cell_class,
        abstained=abstained,
        probabilities=probabilities,
        features={"area_um2": 100.0 + no, "solidity": 0.5},
        outline_l0=((no, 0), (no + 4, 0), (no, 4)),
    )


def batch(no: int = 0, classes: Sequence[str] = ("lymphocyte",)) -> Batch:
    """Return a batch with one cell of each class named."""
    return Batch(no=no, cells=tuple(cell(i, name) for i, name in enumerate(classes)))


def read(engine: Engine, run_id: int, classes: Sequence[str] = ("lymphocyte",)) -> Claim:
    """Read a due run to its end as a worker would."""
    claim = taken(engine, run_id)
    runs.store_plan(engine, claim, plan())
    runs.write_batch(engine, claim, batch(classes=classes))
    runs.finish(engine, claim, decide)
    return claim


def scalar(engine: Engine, sql: str) -> Any:
    """Return the one value that a query gives."""
    with transaction(engine) as conn:
        return conn.exec_driver_sql(sql).scalar_one()


def execute(engine: Engine, sql: str) -> None:
    """Run a statement and commit."""
    with transaction(engine) as conn:
        conn.exec_driver_sql(sql)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the patients' report says."""

    finding: str
    cells: int
    done: int
    open: int
    quarantined: int


def standing(conn: Connection, patient: str = "patient") -> Standing:
    """Return what the report says of a patient, as this transaction sees it."""
    row = conn.exec_driver_sql(
        "SELECT finding, cells, slides_done, slides_open, slides_quarantined FROM report.patients WHERE patient = %s",
        (patient,),
    ).one()
    return Standing(finding=row[0], cells=row[1], done=row[2], open=row[3], quarantined=row[4])
