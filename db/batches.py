"""What a claimed run writes: its plan, then its cells, one transaction a batch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db import cells, measuring, steps
from db.cell_tables import area, tile_defect
from db.cell_tables import batch as batch_table
from db.counts import BatchCount, Stop
from db.errors import BadOutputError, NotAllowedError
from db.faultpoints import faultpoint
from db.records import NOT_COUNTED, Batch, Claim, Plan
from db.run_tables import SANDBOXES, run, run_count
from db.session import transact
from db.steps import in_seconds
from db.tables import slide

_COUNT = text(
    """
    INSERT INTO run_count (run_id, cell_class, called, abstained, counted)
    SELECT run_id, cell_class, count(*) FILTER (WHERE NOT abstained), count(*) FILTER (WHERE abstained),
           NOT cell_class = ANY (:not_counted)
      FROM cell WHERE run_id = :run_id GROUP BY run_id, cell_class
    """
)
_COUNT_BATCHES = text(
    """
    SELECT batch.no, cell.cell_class, count(*) FILTER (WHERE NOT cell.abstained) AS called,
           count(*) FILTER (WHERE cell.abstained) AS abstained
      FROM batch LEFT JOIN cell
        ON cell.run_id = :run_id AND cell.batch_no = batch.no AND NOT cell.cell_class = ANY (:not_counted)
     WHERE batch.run_id = :run_id GROUP BY batch.no, cell.cell_class ORDER BY batch.no, cell.cell_class
    """
)
_ABSENT = text(
    """
    SELECT wanted.no FROM generate_series(0, :n_batches - 1) AS wanted (no)
      LEFT JOIN batch ON batch.run_id = :run_id AND batch.no = wanted.no
     WHERE batch.no IS NULL ORDER BY wanted.no
    """
)


def store_plan(engine: Engine, claim: Claim, plan: Plan) -> frozenset[int]:
    """Store how the slide is read; return the numbers of the batches that need not be read again.

    Those are the batches that an earlier holder wrote under a plan of the same digest; under any other plan they
    are deleted. Raises FencedError, UnavailableError.
    """

    def work(conn: Connection) -> frozenset[int]:
        row = steps.held(conn, claim)
        if row.plan_digest != plan.digest:
            conn.execute(delete(batch_table).where(batch_table.c.run_id == claim.run_id))
            conn.execute(update(run).where(run.c.id == claim.run_id).values(_plan_values(plan)))
            _replace_areas(conn, claim.run_id, plan)
            conn.execute(update(slide).where(slide.c.id == row.slide_id).values(sha256=plan.sha256))
        elif row.sandbox and plan.sandbox:  # of several holders the least firmly shut in one is told
            weaker = min(row.sandbox, plan.sandbox, key=SANDBOXES.index)
            conn.execute(update(run).where(run.c.id == claim.run_id).values(sandbox=weaker))
        written = select(batch_table.c.no).where(batch_table.c.run_id == claim.run_id)
        return frozenset(conn.execute(written).scalars())

    return transact(engine, work, patience_s=claim.lease_s)


def _plan_values(plan: Plan) -> dict[str, Any]:
    return {
        "plan": dict(plan.document),
        "plan_digest": plan.digest,
        "n_batches": plan.n_batches,
        "n_read": None,
        "stop": null(),
        "mpp_um": plan.mpp_um,
        "mpp_source": plan.mpp_source,
        "mpp_error_um": plan.mpp_error_um,
        "reader": plan.reader,
        "sandbox": plan.sandbox,
        "area_shares": dict(plan.area_shares),
        "stain_profile": dict(plan.stain_profile),
        "feature_names": None,
        "progress_at": func.now(),
    }


def _replace_areas(conn: Connection, run_id: int, plan: Plan) -> None:
    conn.execute(delete(area).where(area.c.run_id == run_id))
    if plan.areas:
        rows = [{"run_id": run_id, "no": no} | asdict(one) for no, one in enumerate(plan.areas)]
        conn.execute(insert(area), rows)


def defects(engine: Engine, claim: Claim) -> int:
    """Return how many tiles of the run are known to be defect. Raises UnavailableError."""
    wanted = select(func.count()).select_from(tile_defect).where(tile_defect.c.run_id == claim.run_id)
    return transact(engine, lambda conn: int(conn.execute(wanted).scalar_one()), patience_s=claim.lease_s)


def counts(engine: Engine, claim: Claim) -> list[BatchCount]:
    """Return what stands in each written batch of the run, in their order. Raises UnavailableError."""
    wanted = {"run_id": claim.run_id, "not_counted": sorted(NOT_COUNTED)}
    rows = transact(engine, lambda conn: conn.execute(_COUNT_BATCHES, wanted).all(), patience_s=claim.lease_s)
    found = {row.no: BatchCount(no=row.no) for row in rows}
    for row in rows:
        if row.cell_class is not None:
            before = found[row.no]
            called = {**before.called, row.cell_class: row.called}
            found[row.no] = BatchCount(no=row.no, called=called, abstained=before.abstained + row.abstained)
    return list(found.values())


def write_batch(engine: Engine, claim: Claim, batch: Batch) -> None:
    """Write a batch's cells in place of what stood under its number, or nothing at all.

    Raises FencedError, BadOutputError when a constraint refuses a row, NotAllowedError for a number that the plan
    does not have, UnavailableError.
    """
    try:
        transact(engine, lambda conn: _write(conn, claim, batch), patience_s=claim.lease_s)
    except (psycopg2.IntegrityError, psycopg2.DataError) as exc:
        # Only the first line: the others quote the row.
        raise BadOutputError(f"run {claim.run_id}, batch {batch.no}: {str(exc).splitlines()[0]}") from exc


def _write(conn: Connection, claim: Claim, batch: Batch) -> None:
    row = steps.held(conn, claim)
    if row.n_batches is None or not 0 <= batch.no < row.n_batches:
        raise NotAllowedError(f"run {claim.run_id}: batch {batch.no} is not one of the plan's {row.n_batches}")
    names = cells.feature_names(batch, expected=row.feature_names)
    gone = (batch_table.c.run_id == claim.run_id) & (batch_table.c.no == batch.no)
    conn.execute(delete(batch_table).where(gone))  # takes cells, outlines and defects with it
    facts = {"run_id": claim.run_id, "no": batch.no, "fence": claim.fence, "n_cells": len(batch.cells)}
    conn.execute(insert(batch_table).values(facts | _box(batch)))
    cells.copy_cells(conn, claim.run_id, batch)
    faultpoint("batch.copied")
    if batch.defects:
        rows = [{"run_id": claim.run_id, "batch_no": batch.no} | asdict(one) for one in batch.defects]
        conn.execute(insert(tile_defect), rows)
    progress = {"progress_at": func.now(), "lease_until": func.now() + in_seconds(claim.lease_s)}
    conn.execute(update(run).where(run.c.id == claim.run_id).values(progress | {"feature_names": names}))


def _box(batch: Batch) -> dict[str, float]:
    """Return the box around the cells' centroids: by it the cells of one place are found among those of a slide."""
    if not batch.cells:
        return {}
    x_l0, y_l0 = [cell.x_l0 for cell in batch.cells], [cell.y_l0 for cell in batch.cells]
    return {"x_min_l0": min(x_l0), "y_min_l0": min(y_l0), "x_max_l0": max(x_l0), "y_max_l0": max(y_l0)}


def close(conn: Connection, run_id: int, n_batches: int | None, stop: Stop | None) -> None:
    """Make sure that a run ends with all batches of its plan, or with exactly those up to its stop.

    Batches beyond the stop, which nobody who carries out the plan writes, are deleted: no rule counts them.
    Raises NotAllowedError when a batch is not written, or the stop is none of the plan's.
    """
    if n_batches is None:
        raise NotAllowedError(f"run {run_id} cannot be done: no plan is stored")
    wanted = n_batches if stop is None else stop.n_read
    if stop is not None and not 0 < wanted <= n_batches:
        raise NotAllowedError(f"run {run_id} cannot be done: a stop after {wanted} of {n_batches} batches")
    numbers = conn.execute(_ABSENT, {"run_id": run_id, "n_batches": wanted}).scalars().all()
    if numbers:
        absent = f"{len(numbers)} of {wanted} batches are not written, first {numbers[0]}"
        raise NotAllowedError(f"run {run_id} cannot be done: {absent}")
    if stop is not None:
        conn.execute(delete(batch_table).where(batch_table.c.run_id == run_id, batch_table.c.no >= wanted))


def count_cells(conn: Connection, run_id: int) -> int:
    """Count the run's cells per class for the tally, anew, and measure them; return how many cells there are."""
    conn.execute(delete(run_count).where(run_count.c.run_id == run_id))
    conn.execute(_COUNT, {"run_id": run_id, "not_counted": sorted(NOT_COUNTED)})
    measuring.measure(conn, run_id)
    counted = select(func.coalesce(func.sum(run_count.c.called + run_count.c.abstained), 0))
    return int(conn.execute(counted.where(run_count.c.run_id == run_id)).scalar_one())
