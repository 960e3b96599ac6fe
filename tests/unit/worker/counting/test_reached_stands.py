"""What the third edition of the rules adds: a threshold that is reached stands, where most cells were called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.counts import SlideTally, SpecimenTally, Tally
from db.records import Finding, Specimen
from tests.support.tallies import marrow_of, tally_of
from worker.counting.intervals import clopper_pearson, counted
from worker.rules import DEFAULT_RULE, RULES
from worker.verdict import decide

SECOND = "marrowline-2026.2"
MARROW = {"neutrophil": 200, "immature_granulocyte": 150, "erythroblast": 150}


def tally(counts: dict[str, int], *, abstained: int = 0, rule: str = DEFAULT_RULE) -> Tally:
    return tally_of(marrow_of(SlideTally(slide_id=1, counts=counts, abstained=abstained)), rule=rule)


MYELOMA = {"plasma_cell": 310, "lymphoblast": 2, "neutrophil": 199}


def test_a_disease_that_is_shown_does_not_wait_until_abstained_cells_exclude_another() -> None:
    verdict = decide(tally(MYELOMA, abstained=112))
    assert verdict.finding is Finding.CONSISTENT_WITH_MM
    assert "plasma cells 310 of 623" in verdict.reason
    assert "ALL not excluded, for abstained cells alone: lymphoblasts 2 of 623" in verdict.reason
    assert verdict.evidence["more_cells"] is None
    before = decide(tally(MYELOMA, abstained=112, rule=SECOND))
    assert (before.finding, before.shares) == (Finding.INDETERMINATE, verdict.shares)


def test_called_cells_that_leave_another_open_do_keep_a_finding_open() -> None:
    verdict = decide(tally({"plasma_cell": 150, "lymphoblast": 100, "neutrophil": 250}, abstained=10))
    assert verdict.finding is Finding.INDETERMINATE
    assert "another is reached: plasma cells" in verdict.reason


def test_nothing_is_shown_where_most_cells_have_no_call() -> None:
    verdict = decide(tally(MYELOMA, abstained=600))
    assert verdict.finding is Finding.INDETERMINATE
    assert "check that these are stained smears" in verdict.reason


def test_the_shares_that_leave_another_open_are_those_of_the_called_cells() -> None:
    mixed = tally({"plasma_cell": 300, "lymphoblast": 150, "neutrophil": 100}, abstained=450)
    verdict = decide(mixed)  # 15 % of all cells, and 27 % of the called ones
    assert verdict.finding is Finding.INDETERMINATE
    assert "another is reached: plasma cells" in verdict.reason


def blood_of(counts: dict[str, int], abstained: int = 0) -> SpecimenTally:
    return SpecimenTally(specimen=Specimen.BLOOD, counts=counts, abstained=abstained, slides_done=1)


def test_a_specimen_that_is_well_called_does_not_vouch_for_one_that_is_not() -> None:
    hardly_called = tally({"plasma_cell": 150, "neutrophil": 20}, abstained=430).specimens[0]
    verdict = decide(tally_of(hardly_called, blood_of({"neutrophil": 3000})))
    assert verdict.finding is Finding.INDETERMINATE
    assert verdict.reason.startswith("the model would not call 430 of 600 cells")


def test_blood_of_which_most_cells_have_no_call_shows_no_leukaemia() -> None:
    hardly_called = blood_of({"lymphoblast": 300, "neutrophil": 5}, abstained=700)
    verdict = decide(tally_of(hardly_called))
    assert verdict.finding is Finding.INDETERMINATE
    assert verdict.reason.startswith("the model would not call 700 of 1005 cells")
    assert verdict.evidence["more_cells"] is None
    assert decide(tally_of(hardly_called, rule=SECOND)).finding is Finding.CONSISTENT_WITH_ALL


def test_blood_that_is_hardly_called_does_not_take_back_what_marrow_shows() -> None:
    marrow = tally({"lymphoblast": 400, "neutrophil": 200}).specimens[0]
    verdict = decide(tally_of(marrow, blood_of({"lymphoblast": 300}, abstained=700)))
    assert verdict.finding is Finding.CONSISTENT_WITH_ALL


def test_a_finding_that_is_not_open_asks_for_no_more_cells() -> None:
    marrow = tally({"lymphoblast": 400, "neutrophil": 200}).specimens[0]
    assert decide(tally_of(marrow, blood_of({"neutrophil": 20}))).evidence["more_cells"] is None
    short = tally_of(tally(MARROW).specimens[0], blood_of({"neutrophil": 20}))
    assert decide(short).evidence["more_cells"] == 180


def test_as_many_more_cells_are_asked_for_as_settle_it_whatever_abstained_cells_are() -> None:
    parts = {"plasma_cell": 300, "lymphoblast": 75, "neutrophil": 75}
    more = decide(tally(parts, abstained=60)).evidence["more_cells"]
    assert more is not None

    def after(cells: float) -> Finding:
        grown = (510 + cells) / 510
        counts = {name: round(n * grown) for name, n in parts.items()}
        return decide(tally(counts, abstained=round(60 * grown))).finding

    assert after(1.1 * more) is Finding.CONSISTENT_WITH_MM
    assert after(0.9 * more) is Finding.INDETERMINATE


NUMBER = st.integers(0, 400)
CLASS_OF = {Finding.CONSISTENT_WITH_ALL: "lymphoblast", Finding.CONSISTENT_WITH_MM: "plasma_cell"}


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.reached_stands])
@given(blasts=NUMBER, plasma=NUMBER, others=NUMBER, marrow_open=NUMBER, blood_blasts=NUMBER, blood_open=NUMBER)
def test_no_disease_is_shown_that_the_called_cells_do_not_bear(
    name: str, blasts: int, plasma: int, others: int, marrow_open: int, blood_blasts: int, blood_open: int
) -> None:
    counts = {"lymphoblast": blasts, "plasma_cell": plasma, "neutrophil": others}
    marrow = tally(counts, abstained=marrow_open).specimens[0]
    parts = (marrow, blood_of({"lymphoblast": blood_blasts, "neutrophil": 100}, abstained=blood_open))
    verdict = decide(tally_of(*parts, rule=name))
    if not (wanted := CLASS_OF.get(verdict.finding)):
        return
    rule = RULES[name]
    for_it = [
        (part, one.threshold) for part in parts for one in rule.criteria_for(part.specimen) if one.cell_class == wanted
    ]
    assert any(
        counted(part) >= rule.min_cells[part.specimen]
        and 2 * part.abstained <= counted(part)
        and clopper_pearson(part.counts[wanted], counted(part), 0.95)[0] >= threshold
        for part, threshold in for_it
    )
    for part in parts:
        for other in rule.criteria_for(part.specimen):
            if other.cell_class != wanted and counted(part) >= rule.min_cells[part.specimen]:
                called = counted(part) - part.abstained
                assert clopper_pearson(part.counts[other.cell_class], called, 0.95)[1] < other.threshold
