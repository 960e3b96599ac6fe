from __future__ import annotations

from dataclasses import replace

import pytest

from db.records import Specimen
from worker.errors import BadRequestError
from worker.training.pseudo_patients.groups import PseudoPatient
from worker.training.pseudo_patients.line import Found
from worker.training.pseudo_patients.table import BEGIN, END, inserted, table

MARROW = PseudoPatient(name="marrow", shows="9 cells", specimen=Specimen.MARROW)
SECTION = PseudoPatient(name="section", shows="a section", specimen=Specimen.MARROW, strange=True)
UNREAD = PseudoPatient(name="unread", shows="nothing", specimen=Specimen.MARROW, strange=True)
NONE = {"value": None, "ci_low": 0.0, "ci_high": 1.0}
FOUND = Found(
    patient="marrow",
    finding="consistent_with_MM",
    reason="threshold reached",
    rule="first",
    cells=600,
    abstained=7,
    shares={"lymphoblast": {"value": 0.01, "ci_low": 0.0, "ci_high": 0.025}, "plasma_cell": NONE},
    refused=None,
)
REFUSED = replace(FOUND, finding="incomplete", reason="1 slide quarantined", cells=0, refused="not_a_smear_histology")


def test_a_line_says_counts_shares_both_findings_and_why() -> None:
    fewer = replace(FOUND, finding="indeterminate", rule="second", reason="the interval straddles")
    head, _, line, _, reason, *_ = table([MARROW, UNREAD], {"marrow": FOUND}, {"marrow": fewer}).splitlines()
    assert head.endswith("| finding | by second |")
    assert line == "| `marrow` | 9 cells; marrow | 600 | 7 | 1.0 % (0.0-2.5) | - | consistent_with_MM | indeterminate |"
    assert reason == "- `marrow`: threshold reached. By second: the interval straddles"


def test_a_reason_is_said_once_where_both_rules_find_the_same() -> None:
    told = table([MARROW], {"marrow": FOUND}, {"marrow": replace(FOUND, rule="second", reason="other words")})
    assert "other words" not in told


def test_what_was_refused_is_told_with_its_code() -> None:
    told = table([SECTION], {"section": REFUSED}, {"section": REFUSED})
    assert "1 slide quarantined (not_a_smear_histology)" in told
    assert told.endswith("No disease is claimed from any of the 1 inputs that are no smears.")


@pytest.mark.parametrize(("first", "second"), [(FOUND, REFUSED), (REFUSED, FOUND)])
def test_a_disease_that_is_claimed_of_no_smear_is_said_loudly(first: Found, second: Found) -> None:
    told = table([SECTION], {"section": first}, {"section": second})
    assert told.endswith("**A disease is claimed from input that is no smear: section.**")


def test_the_table_takes_the_place_of_the_one_before() -> None:
    page = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    assert inserted(page, "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow\n"
    with pytest.raises(BadRequestError, match="the page has no"):
        inserted("above", "new")
