"""Real pictures that are no smears, through the real line: nothing is claimed of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.line import started
from worker.training.pseudo_patients.groups import all_of
from worker.training.pseudo_patients.line import Line
from worker.training.pseudo_patients.table import CLAIMS

DATA = os.environ.get("MARROWLINE_DATA", "")
REFUSED = {
    "section": "not_a_smear_histology",
    "tissue": "not_a_smear_histology",
    "fluorescence": "not_a_smear_fluorescence",
}


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs the public sets in MARROWLINE_DATA")
def test_what_is_no_smear_is_refused_and_no_disease_is_claimed_of_it(tmp_path: Path) -> None:
    with started(tmp_path / "home"):
        line = Line(home=tmp_path / "home")
        for patient in all_of(Path(DATA)):
            if patient.name in REFUSED:
                line.read(patient, tmp_path / "sheets")
        found = line.found()
    assert {name: one.refused for name, one in found.items()} == REFUSED
    assert not {one.finding for one in found.values()} & set(CLAIMS)
