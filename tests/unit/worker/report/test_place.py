from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.intake import is_slide_key
from tests.support.cases import case
from worker.outputs.report.place import page_key

OF = case().report
PREFIX = "ml-prefix/"


def test_the_place_follows_from_laboratory_and_patient_and_tells_nothing_of_the_patient() -> None:
    key = page_key(PREFIX, replace(OF, lab="central", patient="P-17"))
    assert key == page_key(PREFIX, replace(OF, lab="central", patient="P-17"))
    assert key.startswith("ml-prefix/marrowline-results/central/report-")
    assert "P-17" not in key
    assert len({key, *(page_key(PREFIX, replace(OF, lab=lab, patient="P-17")) for lab in ("north", "Zürich"))}) == 3


@pytest.mark.parametrize("code", ["..", ".", "a/b", "a/../..", "*", "a b", "_x", "", "x" * 200, "\\..\\x", "é" * 60])
def test_a_code_that_is_no_folder_has_its_digest_in_its_place(code: str) -> None:
    folder = PurePosixPath(page_key("", replace(OF, lab=code))).parent.name
    assert folder.startswith("_")
    assert len(folder) == 33


@given(st.text(), st.text())
def test_no_laboratory_and_no_pseudonym_leads_out_of_the_results(lab: str, patient: str) -> None:
    key = page_key("", replace(OF, lab=lab, patient=patient))
    first, folder, name = key.split("/")
    assert (first, name[:7], name[-5:]) == ("marrowline-results", "report-", ".html")
    assert folder not in ("", ".", "..")
    assert len(folder.encode()) < 200
    assert not is_slide_key(key)
