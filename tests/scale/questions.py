"""What patients' and laboratories' reports are asked, as the command line, the dashboard and docs/sql.md ask it."""

from __future__ import annotations

PATIENT = {
    "patients": "SELECT * FROM report.patients WHERE lab = :lab AND patient = :patient",
    "slides": "SELECT * FROM report.slides WHERE lab = :lab AND patient = :patient ORDER BY key",
    "runs": "SELECT * FROM report.runs WHERE lab = :lab AND patient = :patient ORDER BY run_id",
    "differential": "SELECT * FROM report.differential WHERE lab = :lab AND patient = :patient",
    "verdict_history": "SELECT * FROM report.verdict_history WHERE lab = :lab AND patient = :patient ORDER BY rev",
    "blast_trend": "SELECT * FROM report.blast_trend WHERE lab = :lab AND patient = :patient ORDER BY taken_on",
    "cells: calls of the first 1,000": (  # keys first, as `marrowline cells` does
        "WITH page AS MATERIALIZED (SELECT run_id, batch_no, cell_no FROM report.cells"
        " WHERE lab = :lab AND patient = :patient AND shown ORDER BY run_id, batch_no, cell_no LIMIT 1000)"
        " SELECT run_id, batch_no, cell_no, x_l0, y_l0, cell_class, abstained, probability FROM report.cells"
        " WHERE lab = :lab AND patient = :patient AND run_id = ANY (ARRAY(SELECT DISTINCT run_id FROM page))"
        " AND batch_no = ANY (ARRAY(SELECT DISTINCT batch_no FROM page)) ORDER BY run_id, batch_no, cell_no LIMIT 1000"
    ),
    "cells: everything of a batch": "SELECT * FROM report.cells WHERE run_id = :run_id AND batch_no = 7",
    "cells_within, 1,000 x 1,000 px": (
        "SELECT * FROM report.cells_within(:run_id, :x_l0, :y_l0, :x_l0 + 1000, :y_l0 + 1000)"
    ),
    "areas": "SELECT * FROM report.areas WHERE lab = :lab AND patient = :patient",
    "area_shares": "SELECT * FROM report.area_shares WHERE lab = :lab AND patient = :patient",
    "tile_defects": "SELECT * FROM report.tile_defects WHERE lab = :lab AND patient = :patient",
    "stain_drift": "SELECT * FROM report.stain_drift WHERE lab = :lab AND patient = :patient",
    "audit": "SELECT * FROM report.audit WHERE lab = :lab AND patient = :patient ORDER BY seq",
}
LAB = {
    "patients, a page of 200": "SELECT * FROM report.patients WHERE lab = :lab ORDER BY patient LIMIT 200",
    "slides, a page of 200": "SELECT * FROM report.slides WHERE lab = :lab ORDER BY patient, key LIMIT 200",
    "slides in quarantine": (
        "SELECT * FROM report.slides WHERE lab = :lab AND state = 'quarantined' ORDER BY key LIMIT 200"
    ),
    "runs, a page of 200": "SELECT * FROM report.runs WHERE lab = :lab ORDER BY run_id LIMIT 200",
    "throughput, a year": "SELECT * FROM report.throughput WHERE lab = :lab ORDER BY day",
    "turnaround, a year by weeks": (
        "SELECT * FROM report.turnaround WHERE lab = :lab AND period = 'week' AND span = 'turnaround' ORDER BY since"
    ),
    "turnaround_steps, a month": (
        "SELECT step, sum(readings) FROM report.turnaround_steps"
        " WHERE lab = :lab AND span = 'reading' AND day > current_date - 30 GROUP BY step"
    ),
    "quarantine_causes": "SELECT * FROM report.quarantine_causes WHERE lab = :lab",
    "findings": "SELECT * FROM report.findings WHERE lab = :lab",
    "stain_drift, a month": (
        "SELECT * FROM report.stain_drift WHERE lab = :lab AND finished_at > now() - interval '30 days'"
    ),
    "verdict_history, a day": (
        "SELECT * FROM report.verdict_history WHERE lab = :lab AND reported_at > now() - interval '1 day' LIMIT 200"
    ),
    "audit, the last 50": "SELECT * FROM report.audit WHERE lab = :lab ORDER BY seq DESC LIMIT 50",
    "model_versions": "SELECT * FROM report.model_versions",
}
