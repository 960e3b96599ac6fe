from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from db.counts import SpecimenTally, Tally
from db.records import CellClass, Confusion, Finding, Specimen
from tests.support import tallies
from worker.counting.intervals import clopper_pearson
from worker.rules import RULES
from worker.verdict import decide

FIRST = "marrowline-2026.1"
LYMPHOBLAST, PLASMA, NEUTROPHIL = CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL, CellClass.NEUTROPHIL


def tally_of(
    counts: dict[CellClass, int],
    *,
    specimen: Specimen = Specimen.MARROW,
    abstained: int = 0,
    rule: str = FIRST,
    still_open: int = 0,
    quarantined: int = 0,
) -> Tally:
    part = SpecimenTally(
        specimen=specimen, counts={c.value: n for c, n in counts.items()}, abstained=abstained, slides_done=1
    )
    return tallies.tally_of(part, rule=rule, slides_open=still_open, slides_quarantined=quarantined)


@given(cells=st.integers(1, 3000), data=st.data())
def test_intervals_are_the_exact_binomial_ones(cells: int, data: st.DataObject) -> None:
    positive = data.draw(st.integers(0, cells))
    reference = binomtest(positive, cells).proportion_ci(0.95, method="exact")
    assert clopper_pearson(positive, cells, 0.95) == pytest.approx((reference.low, reference.high), abs=1e-9)


@pytest.mark.parametrize(
    ("blasts", "plasma", "finding"),
    [
        (300, 5, Finding.CONSISTENT_WITH_ALL),
        (10, 150, Finding.CONSISTENT_WITH_MM),
        (10, 10, Finding.NO_EVIDENCE),
        (120, 5, Finding.INDETERMINATE),  # 20.0 % of 600: the interval straddles
        (300, 150, Finding.INDETERMINATE),  # both thresholds reached
        (300, 60, Finding.INDETERMINATE),  # one reached, the other straddled
    ],
)
def test_marrow_of_600_cells(blasts: int, plasma: int, finding: Finding) -> None:
    verdict = decide(tally_of({LYMPHOBLAST: blasts, PLASMA: plasma, NEUTROPHIL: 600 - blasts - plasma}))
    assert verdict.finding is finding
    assert verdict.cells == 600


def test_uncounted_classes_stay_out_of_the_denominator() -> None:
    counts = {NEUTROPHIL: 500, CellClass.PLATELET: 90, CellClass.SMUDGE: 9, CellClass.ARTEFACT: 9}
    assert decide(tally_of({**counts, CellClass.MEGAKARYOCYTE: 4})).cells == 500


def test_one_cell_short_of_the_minimum_is_insufficient() -> None:
    assert decide(tally_of({NEUTROPHIL: 499})).finding is Finding.INSUFFICIENT
    assert decide(tally_of({NEUTROPHIL: 500})).finding is Finding.NO_EVIDENCE
    assert decide(tally_of({NEUTROPHIL: 200}, rule="marrowline-2026.1-min200")).finding is Finding.NO_EVIDENCE


def test_the_25_percent_rule_judges_the_same_counts_differently() -> None:
    counts = {LYMPHOBLAST: 245, NEUTROPHIL: 755}
    assert decide(tally_of(counts)).finding is Finding.CONSISTENT_WITH_ALL
    assert decide(tally_of(counts, rule="marrowline-2026.1-all25")).finding is Finding.INDETERMINATE


def test_abstained_cells_that_could_cross_a_threshold_make_it_indeterminate() -> None:
    assert decide(tally_of({NEUTROPHIL: 590}, abstained=10)).finding is Finding.NO_EVIDENCE
    assert decide(tally_of({NEUTROPHIL: 500}, abstained=100)).finding is Finding.INDETERMINATE


@given(
    blasts=st.integers(0, 900),
    plasma=st.integers(0, 900),
    still_open=st.integers(0, 2),
    bad=st.integers(0, 2),
)
def test_a_slide_that_is_not_done_is_never_passed_over(blasts: int, plasma: int, still_open: int, bad: int) -> None:
    counts = {LYMPHOBLAST: blasts, PLASMA: plasma, NEUTROPHIL: 500}
    verdict = decide(tally_of(counts, still_open=still_open, quarantined=bad))
    assert (verdict.finding is Finding.INCOMPLETE) == bool(still_open + bad)


def test_an_incomplete_verdict_keeps_what_was_seen_so_far() -> None:
    verdict = decide(tally_of({LYMPHOBLAST: 400, NEUTROPHIL: 200}, quarantined=1))
    assert verdict.evidence["finding_so_far"] == "consistent_with_ALL"
    assert verdict.reason.startswith("1 slide quarantined")


def test_an_unknown_specimen_yields_no_disease() -> None:
    verdict = decide(tally_of({LYMPHOBLAST: 900}, specimen=Specimen.UNKNOWN))
    assert verdict.finding is Finding.INDETERMINATE
    assert "specimen is not stated" in verdict.reason


@pytest.mark.parametrize(
    ("specimen", "where"),
    [(Specimen.BLOOD, "in blood specimen, "), (Specimen.UNKNOWN, "in a specimen that is not stated, ")],
)
def test_too_few_cells_are_told_with_what_they_were_counted_in(specimen: Specimen, where: str) -> None:
    verdict = decide(tally_of({NEUTROPHIL: 3}, specimen=specimen))
    assert verdict.finding is Finding.INSUFFICIENT
    assert f"3 cells counted {where}" in verdict.reason


def test_blood_has_no_myeloma_rule_and_says_so() -> None:
    verdict = decide(tally_of({PLASMA: 100, NEUTROPHIL: 100}, specimen=Specimen.BLOOD))
    assert verdict.finding is Finding.NO_EVIDENCE
    assert "MM not judged" in verdict.reason
    assert verdict.shares["plasma_cell"].threshold is None


def both(marrow: Tally, other: Tally) -> Tally:
    return replace(marrow, specimens=marrow.specimens + other.specimens, slides_done=2)


@pytest.mark.parametrize(
    ("unjudged", "finding"),
    [
        (tally_of({PLASMA: 450}), Finding.INSUFFICIENT),
        (tally_of({}), Finding.INSUFFICIENT),
        (tally_of({LYMPHOBLAST: 600}, specimen=Specimen.UNKNOWN), Finding.INDETERMINATE),
    ],
)
def test_normal_blood_does_not_hide_a_specimen_that_was_not_judged(unjudged: Tally, finding: Finding) -> None:
    blood = tally_of({NEUTROPHIL: 300}, specimen=Specimen.BLOOD)
    assert decide(both(unjudged, blood)).finding is finding


def test_a_threshold_reached_in_one_specimen_holds_whatever_the_other_shows() -> None:
    marrow, blood = tally_of({NEUTROPHIL: 100}), tally_of({LYMPHOBLAST: 300}, specimen=Specimen.BLOOD)
    assert decide(both(marrow, blood)).finding is Finding.CONSISTENT_WITH_ALL


def test_nothing_read_is_insufficient() -> None:
    verdict = decide(tallies.tally_of(rule=FIRST))
    assert verdict.finding is Finding.INSUFFICIENT
    assert verdict.shares["lymphoblast"].value is None


@given(cells=st.integers(500, 5000), data=st.data())
def test_more_blasts_never_turn_a_positive_finding_back(cells: int, data: st.DataObject) -> None:
    fewer = data.draw(st.integers(0, cells))
    more = data.draw(st.integers(fewer, cells))
    order = [Finding.NO_EVIDENCE, Finding.INDETERMINATE, Finding.CONSISTENT_WITH_ALL]
    found = [decide(tally_of({LYMPHOBLAST: k, NEUTROPHIL: cells - k})).finding for k in (fewer, more)]
    assert order.index(found[0]) <= order.index(found[1])


def test_every_rule_is_found_under_its_own_name() -> None:
    assert all(name == rule.name for name, rule in RULES.items())


def test_p_above_follows_the_threshold() -> None:
    share = decide(tally_of({LYMPHOBLAST: 120, NEUTROPHIL: 480})).shares["lymphoblast"]
    assert share.p_above == pytest.approx(0.5, abs=0.03)


def test_a_slide_that_is_hardly_called_at_all_says_so_first() -> None:
    verdict = decide(tally_of({LYMPHOBLAST: 104, NEUTROPHIL: 400}, abstained=2000))
    assert verdict.finding is Finding.INDETERMINATE
    assert verdict.reason.startswith("the model would not call 2000 of 2504 cells")


def _confusion(right: int = 90) -> Confusion:
    names = (LYMPHOBLAST, PLASMA, NEUTROPHIL)
    rows = tuple((*(right if c is r else (100 - right) // 2 for c in names), 0) for r in names)
    return Confusion(classes=tuple(name.value for name in names), counts=rows)


def test_without_a_confusion_nothing_is_corrected() -> None:
    evidence = decide(tally_of({LYMPHOBLAST: 300, NEUTROPHIL: 300})).evidence
    assert evidence["classifier_errors"] == "not corrected for"
    assert evidence["corrected_shares"] == []


def test_counted_and_corrected_shares_stand_side_by_side() -> None:
    tally = replace(tally_of({LYMPHOBLAST: 60, NEUTROPHIL: 540}), confusion=_confusion())
    evidence = decide(tally).evidence
    blasts, plasma = evidence["corrected_shares"]
    assert (blasts["cell_class"], plasma["cell_class"]) == ("lymphoblast", "plasma_cell")
    assert blasts["counted"]["value"] == pytest.approx(0.10)
    assert blasts["corrected"]["value"] == pytest.approx(0.06, abs=0.015)
    assert "public sets" in evidence["classifier_errors"]
    assert json.loads(json.dumps(evidence)) == evidence


@settings(max_examples=40)
@given(blasts=st.integers(0, 900), plasma=st.integers(0, 900))
def test_a_confusion_never_changes_the_finding(blasts: int, plasma: int) -> None:
    plain = tally_of({LYMPHOBLAST: blasts, PLASMA: plasma, NEUTROPHIL: 300})
    found, beside = decide(plain), decide(replace(plain, confusion=_confusion(70)))
    assert (found.finding, found.reason, found.shares) == (beside.finding, beside.reason, beside.shares)


def test_a_confusion_that_cannot_serve_says_so_by_none() -> None:
    tally = replace(tally_of({NEUTROPHIL: 300}, abstained=300), confusion=_confusion())
    assert [share["corrected"] for share in decide(tally).evidence["corrected_shares"]] == [None, None]
