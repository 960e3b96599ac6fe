"""A patient's case and cells, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from db.cases import Case, CaseCell, CaseSlide
from db.records import Area, StoredObject
from db.reports import ModelFacts, PatientReport

CLASSES = ("lymphoblast", "plasma_cell", "lymphocyte", "smudge")
FEATURES = ("nucleus_area_um2", "solidity", "texture_energy")
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

MODEL = ModelFacts(
    model_version="m1", created=date(2026, 11, 1), weights_sha256="a" * 64, arch="hybrid", classes=list(CLASSES),
    limits="Not for use on patients.", terms=None,
)  # fmt: skip
REPORT = PatientReport(
    lab="central", patient="P-1", finding="consistent_with_ALL", reason="lymphoblasts 300 of 683 cells", cells=683,
    slides_done=1, slides_open=0, slides_quarantined=0, model_version="m1", rule="marrowline-2026.1", shares={},
    reported_at=NOW,
)  # fmt: skip
SLIDE = CaseSlide(
    slide_id=12,
    obj=StoredObject(bucket="b", key="central/P-1/a.tif", etag="e", size=10, last_modified=NOW),
    files=(), sha256="b" * 64, specimen="marrow", stain="MGG", taken_at=NOW, state="done", error_code=None, reason=None,
    remedy=None, run_id=7, mpp_um=0.25, mpp_source="header", cells=1, area_shares={"countable": 0.4},
    areas=(Area(kind="countable", x_l0=0, y_l0=0, width_l0=100, height_l0=100, mm2=0.1),), plan={}, n_batches=1,
    feature_names=FEATURES, finished_at=NOW,
)  # fmt: skip
CELL = CaseCell(
    run_id=7, batch_no=0, cell_no=0, x_l0=10.25, y_l0=20.5, cell_class="lymphoblast", abstained=False,
    probabilities=(0.7, 0.1, 0.1, 0.1), features=(61.23456, 0.95, 0.5), outline_l0=(0, 0, 20, 0, 20, 30, 0, 30),
)  # fmt: skip


def case_with(*slides: CaseSlide, evidence: Mapping[str, Any] | None = None, **report: Any) -> Case:
    """Return a case of these slides; `report` changes what the patient's row says."""
    return Case(report=replace(REPORT, **report), evidence=evidence or {}, model=MODEL, slides=slides or (SLIDE,))
