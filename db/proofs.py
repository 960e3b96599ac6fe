"""What is stored of one patient, as one moment saw it, to be held against slides, cells and rules again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from db import patients
from db.cases import Case, CaseSlide
from db.cell_tables import batch, cell, tile_defect
from db.counts import Tally
from db.model_rows import COLUMNS, version_of
from db.records import NOT_COUNTED, Batch, Cell, ModelVersion, TileDefect
from db.run_tables import run
from db.session import transaction
from db.tables import lab, model_version, patient
from db.verdict_tables import verdict

_LONGER = text("SELECT set_config('statement_timeout', '15min', true)")
_DEFECT = ("tile_no", "x_l0", "y_l0", "width_l0", "height_l0", "code", "cause")
_MISCOUNTED = text(
    """
    SELECT run_id, 'run ' || run_id || ' counts ' || coalesce(told.called, 0) || ' ' || cell_class || ' and '
             || coalesce(told.abstained, 0) || ' abstained; of its cells ' || coalesce(found.called, 0) || ' and '
             || coalesce(found.abstained, 0) || ' are' AS fault
      FROM (SELECT run_id, cell_class, count(*) FILTER (WHERE NOT abstained) AS called,
                   count(*) FILTER (WHERE abstained) AS abstained, NOT cell_class = ANY (:not_counted) AS counted
              FROM cell WHERE run_id = ANY (:runs) GROUP BY run_id, cell_class) AS found
      FULL JOIN (SELECT * FROM run_count WHERE run_id = ANY (:runs)) AS told USING (run_id, cell_class)
     WHERE (found.called, found.abstained, found.counted)
           IS DISTINCT FROM (told.called::bigint, told.abstained::bigint, told.counted)
    UNION ALL
    SELECT run_id,
           'batch ' || no || ' of run ' || run_id || ' has ' || n_cells || ' cells; ' || found.n || ' are stored'
      FROM batch
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM cell WHERE (cell.run_id, cell.batch_no) = (batch.run_id, batch.no))
             AS found
     WHERE run_id = ANY (:runs) AND n_cells <> found.n
    UNION ALL
    SELECT id, 'run ' || id || ' has ' || n_cells || ' cells; its batches have ' || written.n
      FROM run CROSS JOIN LATERAL (SELECT coalesce(sum(n_cells), 0) AS n FROM batch WHERE run_id = run.id) AS written
     WHERE id = ANY (:runs) AND n_cells IS DISTINCT FROM written.n
    UNION ALL
    SELECT id, 'run ' || id || ' ends with batch ' || coalesce(n_read, n_batches) || ' of its plan; ' || written.n
               || ' batches up to there and ' || written.beyond || ' beyond are stored'
      FROM run
     CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE no < coalesce(n_read, n_batches)) AS n,
                                count(*) FILTER (WHERE no >= coalesce(n_read, n_batches)) AS beyond
                           FROM batch WHERE run_id = run.id) AS written
     WHERE id = ANY (:runs) AND (written.n, written.beyond) IS DISTINCT FROM (coalesce(n_read, n_batches)::bigint, 0)
    UNION ALL
    SELECT standing.run_id, 'cell ' || standing.cell_no || ' in batch ' || standing.batch_no || ' of run '
                              || standing.run_id || ' counts as ' || standing.cell_class
                              || ', otherwise than its call or its correction says'
      FROM corrected_cell AS standing LEFT JOIN cell USING (run_id, batch_no, cell_no)
      LEFT JOIN correction AS word ON word.id = standing.correction_id
     WHERE standing.run_id = ANY (:runs) AND (standing.cell_class, standing.called, standing.abstained)
                                    IS DISTINCT FROM (word.cell_class, cell.cell_class, cell.abstained)
    UNION ALL
    SELECT run_id, 'correction ' || word.id || ' of run ' || run_id || ' does not count'
      FROM correction AS word JOIN cell USING (run_id, batch_no, cell_no, x_l0, y_l0)
      LEFT JOIN corrected_cell AS standing USING (run_id, batch_no, cell_no)
     WHERE run_id = ANY (:runs) AND coalesce(standing.correction_id, 0) < word.id
     ORDER BY run_id, fault
    """
)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A patient's stored verdict and what it would be computed from now."""

    model: ModelVersion
    verdict: Mapping[str, Any]  # the row: rev, finding, reason, rule, cells, shares, evidence, inputs_digest ...
    tally: Tally
    tally_digest: str
    plan_digests: Mapping[int | None, str]  # by run


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """Give a transaction whose every statement sees the database as its first one did."""
    with transaction(engine.execution_options(isolation_level="REPEATABLE READ")) as conn:
        conn.execute(_LONGER)
        yield conn


def recorded(conn: Connection, case: Case) -> Recorded:
    """Return what is recorded of a case's finding."""
    report = case.report
    whose = (lab.c.code == report.lab, patient.c.pseudonym == report.patient)
    joined = verdict.join(patient).join(lab)
    row = conn.execute(
        select(verdict).select_from(joined).where(*whose, verdict.c.model_version_id == patient.c.shown_model_id)
    ).one()
    tally = patients.tally(conn, row.patient_id, row.model_version_id)
    wanted = select(run.c.id, run.c.plan_digest).where(run.c.id.in_([one.run_id for one in case.read]))
    return Recorded(
        model=version_of(conn.execute(select(*COLUMNS).where(model_version.c.id == row.model_version_id)).one()),
        verdict=row._asdict(),
        tally=tally,
        tally_digest=patients.digest(_as_told_before(tally) if _is_early(row.evidence) else tally),
        plan_digests={one.id: one.plan_digest for one in conn.execute(wanted)},
    )


def _is_early(evidence: Mapping[str, Any]) -> bool:
    """Tell whether a verdict was stored before tallies told slides apart: its evidence holds no shares by specimen."""
    specimens = evidence.get("specimens", [])
    return bool(specimens) and not any("shares" in one for one in specimens)


def _as_told_before(tally: Tally) -> Tally:
    return replace(tally, specimens=tuple(replace(one, slides=()) for one in tally.specimens))


def miscounted(conn: Connection, run_ids: Collection[int]) -> dict[int, list[str]]:
    """Say for each run whether the counts that verdicts rest on are those of its cells, and where they are not.

    Takes time in proportion to the cells.
    """
    faults: dict[int, list[str]] = {run_id: [] for run_id in run_ids}
    for row in conn.execute(_MISCOUNTED, {"runs": list(run_ids), "not_counted": sorted(NOT_COUNTED)}):
        faults[row.run_id].append(row.fault)
    return faults


def batch_numbers(conn: Connection, run_id: int) -> list[int]:
    """Return the numbers of the run's written batches, in order."""
    return list(conn.execute(select(batch.c.no).where(batch.c.run_id == run_id).order_by(batch.c.no)).scalars())


def batches_of(conn: Connection, slide: CaseSlide, numbers: Sequence[int]) -> tuple[Batch, ...]:
    """Return some batches of the slide's run as they are stored, without the outlines of their cells."""
    cells: dict[int, list[Cell]] = {no: [] for no in numbers}
    torn: dict[int, list[TileDefect]] = {no: [] for no in numbers}
    wanted = select(cell).where(cell.c.run_id == slide.run_id, cell.c.batch_no.in_(numbers))
    for row in conn.execute(wanted.order_by(cell.c.batch_no, cell.c.cell_no)):
        cells[row.batch_no].append(_cell(row, slide.feature_names))
    defects = select(tile_defect).where(tile_defect.c.run_id == slide.run_id, tile_defect.c.batch_no.in_(numbers))
    for row in conn.execute(defects.order_by(tile_defect.c.tile_no)):
        torn[row.batch_no].append(TileDefect(**{name: row._mapping[name] for name in _DEFECT}))
    return tuple(Batch(no=no, cells=tuple(cells[no]), defects=tuple(torn[no])) for no in numbers)


def _cell(row: Any, feature_names: Sequence[str]) -> Cell:
    return Cell(
        cell_no=row.cell_no,
        x_l0=row.x_l0,
        y_l0=row.y_l0,
        cell_class=row.cell_class,
        abstained=row.abstained,
        probabilities=tuple(row.probabilities),
        features=dict(zip(feature_names, row.features, strict=True)),
    )
