from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from db import cell_reports, reports

VIEWS = Path(reports.__file__).parent / "views"


@pytest.mark.parametrize(
    ("kind", "view"),
    [
        (reports.PatientReport, "010_patients.sql"),
        (reports.SlideReport, "020_slides.sql"),
        (reports.RunReport, "030_runs.sql"),
        (cell_reports.CellReport, "040_cells.sql"),
        (cell_reports.DifferentialReport, "050_differential.sql"),
    ],
)
def test_every_field_of_a_report_is_a_column_of_its_view(kind: type[reports.PatientReport], view: str) -> None:
    text = (VIEWS / view).read_text()
    absent = [field.name for field in fields(kind) if not re.search(rf"\b{field.name}(,|\n)", text)]
    assert absent == []


def test_a_stored_share_becomes_the_record() -> None:
    stored = {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "threshold": 0.2, "p_above": 1.0}
    share = reports._share(stored)
    assert (share.value, share.ci_low, share.ci_high, share.threshold, share.p_above) == (0.5, 0.25, 0.75, 0.2, 1.0)
    assert reports._share(share) is share
