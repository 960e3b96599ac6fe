"""docs/interchange.md says which codes and keys are written; they must be those that are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from worker.cell_ids import CLASS_MARK
from worker.outputs.fhir.elements import MARROW, OWN, REPORT

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "interchange.md").read_text(encoding="utf-8")


def test_the_page_has_just_the_terms_of_loinc_that_are_written() -> None:
    rows = re.findall(r"^\| .* \| (\d+-\d) (.*) \|$", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted([REPORT, *MARROW.values()])


def test_the_page_names_the_system_of_our_own_codes_and_all_of_them() -> None:
    assert f"`{OWN}`" in PAGE
    written = {*re.findall(r'own_code\("(\w+)"', _source()), *re.findall(r'yield "(\w+)"', _source())}
    assert {"cells", "threshold"} < written
    assert {code for code in written if f"`{code}`" not in PAGE} == set()


def test_the_page_names_every_format_that_is_written_here() -> None:
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["marrowline.workshop"]
    ours = {
        name.removeprefix("report_")
        for name, where in parts.items()
        if where.startswith(("worker.outputs.geojson", "worker.outputs.tables", "worker.outputs.fhir"))
    }
    assert set(re.findall(r"^\| `([a-z.]+)` \|", PAGE.split("## QuPath")[0], re.MULTILINE)) == ours


def test_the_page_names_what_a_person_left_and_by_what_a_change_is_told() -> None:
    assert "`corrected_class`" in PAGE
    assert f"`properties.metadata.{CLASS_MARK}`" in PAGE


def _source() -> str:
    return (ROOT / "worker" / "outputs" / "fhir" / "observations.py").read_text(encoding="utf-8")
