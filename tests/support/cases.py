"""Cases for the tests of outputs: a patient as `db.cases` gives it, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from db.cases import Case, CaseCell, CaseSlide
from db.counts import SpecimenTally
from db.records import Area, CellClass, Specimen, StoredObject
from db.reports import ModelFacts, PatientReport
from tests.support.tallies import tally_of
from worker.verdict import decide

AT = datetime(2026, 11, 23, 16, 47, tzinfo=UTC)
CLASSES = ("lymphoblast", "plasma_cell", "lymphocyte", "neutrophil", "erythroblast", "smudge")
ALL_LIKE: Mapping[str, int] = {"lymphoblast": 384, "lymphocyte": 40, "neutrophil": 200, "erythroblast": 59, "smudge": 9}
MM_LIKE: Mapping[str, int] = {"plasma_cell": 197, "lymphocyte": 60, "neutrophil": 320, "erythroblast": 81}
NORMAL: Mapping[str, int] = {"lymphoblast": 6, "plasma_cell": 10, "neutrophil": 500, "erythroblast": 130}
MODEL = ModelFacts(
    model_version="m1",
    created=date(2026, 11, 1),
    weights_sha256="a" * 64,
    arch="hybrid",
    classes=list(CLASSES),
    limits="It has seen little.",
    terms="Non-commercial.",
)


def case(
    counts: Mapping[str, int] = ALL_LIKE,
    *,
    abstained: int = 4,
    specimen: Specimen = Specimen.MARROW,
    quarantined: int = 0,
    patient: str = "P-1",
) -> Case:
    """Return a patient of one or two slides whose finding follows from the counts by the default rule."""
    read = SpecimenTally(specimen=specimen, counts=counts, abstained=abstained, slides_done=2)
    found = decide(tally_of(read, model_version="m1", slides_quarantined=quarantined))
    report = PatientReport(
        lab="lab",
        patient=patient,
        finding=found.finding.value,
        reason=found.reason,
        cells=found.cells,
        slides_done=2,
        slides_open=0,
        slides_quarantined=quarantined,
        model_version="m1",
        rule=found.rule,
        shares=found.shares,
        reported_at=AT,
    )
    done = [slide(no, specimen=specimen.value) for no in (1, 2)]
    bad = [refused(no) for no in range(3, 3 + quarantined)]
    return Case(report=report, evidence=dict(found.evidence), model=MODEL, slides=(*done, *bad))


def slide(no: int, *, specimen: str = "marrow") -> CaseSlide:
    """Return a slide that was read."""
    return CaseSlide(
        slide_id=no,
        obj=StoredObject(bucket="bucket", key=f"lab/P-1/{no}.svs", etag="e", size=10, last_modified=AT),
        files=(),
        sha256=f"{no}" * 64,
        specimen=specimen,
        stain=None,
        taken_at=None,
        state="done",
        error_code=None,
        reason=None,
        remedy=None,
        run_id=no,
        mpp_um=0.25,
        mpp_source="header",
        cells=350,
        area_shares={"countable": 0.5, "glass": 0.5},
        areas=(Area(kind="countable", x_l0=0, y_l0=0, width_l0=100, height_l0=100, mm2=0.25),),
        plan={},
        n_batches=1,
        feature_names=(),
        finished_at=AT,
    )


def refused(no: int) -> CaseSlide:
    """Return a slide in quarantine."""
    return replace(
        slide(no), state="quarantined", error_code="damaged", reason="its tiles <are torn>", remedy="Scan it again.",
        run_id=None, plan=None, areas=(), cells=None,
    )  # fmt: skip


def cell(
    no: int, cell_class: str = "lymphocyte", *, run_id: int = 1, abstained: bool = False, surely: float = 0.9
) -> CaseCell:
    """Return a stored cell, called with that probability."""
    others = (1 - surely) / (len(CLASSES) - 1)
    return CaseCell(
        run_id=run_id,
        batch_no=no // 8,
        cell_no=no % 8,
        x_l0=40.0 + 30 * (no % 20),
        y_l0=40.0 + 30 * (no // 20),
        cell_class=CellClass(cell_class).value,
        abstained=abstained,
        probabilities=tuple(surely if name == cell_class else others for name in CLASSES),
        features=(),
        outline_l0=(),
    )


def with_evidence(of: Case, **more: Any) -> Case:
    """Return the case with further keys in its evidence; `specimen` holds those of its first specimen."""
    first = {**of.evidence["specimens"][0], **more.pop("specimen", {})}
    return replace(of, evidence={**of.evidence, "specimens": [first], **more})
