"""What must hold in the database after every transaction, whatever happened: RELIABILITY, invariants I2 to I10."""

from __future__ import annotations

from sqlalchemy import Connection

from db import patients
from db.counts import Decide
from tests.support.rows import decide as simple_decide

RULES = {
    "one current slide per key": """
        SELECT bucket, key FROM slide WHERE state = 'current' GROUP BY 1, 2 HAVING count(*) > 1""",
    "every current slide has a run of the active model": """
        SELECT slide.id FROM slide CROSS JOIN active_model
         WHERE state = 'current' AND NOT EXISTS (
           SELECT FROM run WHERE slide_id = slide.id AND run.model_version_id = active_model.model_version_id)""",
    "a done run has all its batches": """
        SELECT run.id FROM run LEFT JOIN batch ON batch.run_id = run.id WHERE run.state = 'done'
         GROUP BY run.id HAVING count(batch.no) <> coalesce(run.n_read, run.n_batches)
             OR max(batch.no) >= coalesce(run.n_read, run.n_batches)""",
    "a run that stopped early says where and why": """
        SELECT id FROM run WHERE n_read > n_batches OR (n_read IS NULL) <> (stop IS NULL)
            OR n_read IS NOT NULL AND num_nulls(stop ->> 'rule', stop ->> 'cells', stop ->> 'reason') > 0""",
    "batches count their cells": """
        SELECT batch.run_id, no FROM batch LEFT JOIN cell ON (cell.run_id, cell.batch_no) = (batch.run_id, batch.no)
         GROUP BY batch.run_id, no, n_cells HAVING n_cells <> count(cell.cell_no)""",
    "a done run's counts are its cells": """
        SELECT run.id FROM run WHERE state = 'done' AND (
          n_cells <> (SELECT count(*) FROM cell WHERE cell.run_id = run.id)
          OR n_cells <> (SELECT coalesce(sum(called + abstained), 0) FROM run_count WHERE run_id = run.id))""",
    "only cells of done runs are reported": """
        SELECT run_id FROM report.cells JOIN run ON run.id = run_id WHERE run.state <> 'done'""",
    "nothing is written after the end": """
        SELECT run_id FROM batch JOIN run ON run.id = run_id WHERE run.state = 'done' AND written_at > finished_at""",
    "no batch is older than a newer owner's": """
        SELECT run_id FROM batch JOIN run ON run.id = run_id WHERE batch.fence > run.fence""",
    "one end per fence": """
        SELECT run_id, fence FROM transition WHERE to_state = 'done' GROUP BY 1, 2 HAVING count(*) > 1""",
    "fence and attempt only grow": """
        SELECT * FROM (SELECT fence, attempt, lag(fence) OVER w AS f, lag(attempt) OVER w AS a FROM transition
                       WINDOW w AS (PARTITION BY run_id ORDER BY id)) AS step WHERE fence < f OR attempt < a""",
    "the log is a chain": """
        SELECT * FROM (SELECT from_state, lag(to_state) OVER (PARTITION BY run_id ORDER BY id) AS before
                       FROM transition) AS step WHERE from_state IS DISTINCT FROM before""",
    "attempts are bounded": "SELECT id FROM run WHERE attempt - releases > max_attempts",
    "no final verdict over an open slide": """
        SELECT patient FROM report.patients
         WHERE finding IN ('no_evidence', 'insufficient') AND slides_open + slides_quarantined > 0""",
    "the slides' report and the verdict count alike": """
        SELECT patient FROM report.patients AS p WHERE (slides_done, slides_open, slides_quarantined) <> (
          SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state IN ('waiting', 'reading')),
                 count(*) FILTER (WHERE state = 'quarantined')
            FROM report.slides AS s WHERE (s.lab, s.patient) = (p.lab, p.patient))""",
    "the differential and the verdict count alike": """
        SELECT patient FROM report.patients AS p WHERE cells <> (
          SELECT coalesce(sum(called), 0) FROM report.differential AS d
           WHERE (d.lab, d.patient) = (p.lab, p.patient))""",
    "every patient has a verdict": """
        SELECT id FROM patient WHERE NOT EXISTS (SELECT FROM verdict WHERE patient_id = patient.id)""",
}
SUMS = {
    # A slide that is read again may have other cells than the first time; only the last are known.
    "lab_day": "SELECT lab_id, day, asked, done, quarantined, retried, cancelled FROM lab_day",
    "lab_day_time": "SELECT * FROM lab_day_time",
    "lab_finding": "SELECT * FROM lab_finding WHERE patients > 0",
}


def violations(conn: Connection, decide: Decide = simple_decide) -> list[str]:
    """Return the rules that do not hold now; two rules suppose the simple `decide`, which counts every called cell."""
    broken = [name for name, rows in RULES.items() if conn.exec_driver_sql(f"{rows} LIMIT 1").first() is not None]
    for row in conn.exec_driver_sql("SELECT patient_id, model_version_id, finding, inputs_digest FROM verdict").all():
        now = patients.tally(conn, row.patient_id, row.model_version_id)
        if (decide(now).finding, patients.digest(now)) != (row.finding, row.inputs_digest):
            broken.append(f"the verdict of patient {row.patient_id} is not what a fresh one would be")
    return broken + _wrong_sums(conn)


def _wrong_sums(conn: Connection) -> list[str]:
    """Return which of the reports' sums counting anew changes; nothing is changed for good."""
    kept = _sums(conn)
    with conn.begin_nested() as attempt:
        conn.exec_driver_sql("SELECT sum_up_again()")
        anew = _sums(conn)
        attempt.rollback()
    return [f"the sums in {name} are not what counting anew gives" for name in SUMS if kept[name] != anew[name]]


def _sums(conn: Connection) -> dict[str, set[tuple[object, ...]]]:
    return {name: {tuple(row) for row in conn.exec_driver_sql(rows)} for name, rows in SUMS.items()}
