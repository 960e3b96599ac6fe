"""What a report says of a case: found by its words, as a reader would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db.records import Specimen
from tests.support.cases import case, with_evidence
from tests.support.report_pages import page_without_pictures as content
from worker.correction import Use
from worker.outputs.report.content import Content


def test_the_differential_holds_every_counted_cell_once_and_the_others_apart() -> None:
    (one,) = content(case()).differentials
    rows = [row for group in one.groups for row in group.rows]
    assert sum(int(row.count) for row in rows) == 687
    assert sum(float(group.share.split("\u202f")[0]) for group in one.groups) == pytest.approx(100, abs=0.3)
    assert [(fact.name, fact.value) for fact in one.outside] == [("Smudge cells", "9")]
    blasts = next(row for row in rows if row.name == "Lymphoblasts")
    assert blasts.bar is not None
    assert (blasts.bar.threshold, blasts.decides) == (0.2, True)
    assert blasts.bar.share.low < 384 / 687 < blasts.bar.share.high <= blasts.bar.axis


def test_a_share_that_was_judged_is_shown_as_it_was_judged() -> None:
    page = content(case(abstained=100))
    (one,) = page.differentials
    rows = {row.name: row.interval for group in one.groups for row in group.rows}
    held = {f"{one.name[0].upper()}{one.name[1:]}": one.interval for one in page.criteria}
    assert {name: rows[name] for name in held} == held
    assert set(held) == {"Lymphoblasts", "Plasma cells"}


def test_smears_stand_beside_each_other_with_their_own_cells() -> None:
    tested = [{"cell_class": "lymphoblast", "chi2": 16.2, "df": 1, "p": 0.0001, "dispersion": 4.0}]
    first = content(with_evidence(case(), specimen={"between_slides": tested})).comparisons[0]
    assert (first.name, [share.cells for share in first.shares]) == ("Lymphoblasts", ["30 of 40", "12 of 40"])
    assert first.note == "more apart than chance explains (p < 0.001)"
    assert content(case()).comparisons[0].note == ""


PERSONS: dict[str, Any] = {
    "specimens": [{"specimen": "marrow", "cells": 40, "changed": 12, "corrected_shares": Use.UNFIT.value}],
    "meaning": "so it is",
}
MORE: dict[str, Any] = {
    "persons": PERSONS,
    "more_cells": 800,
    "fuzzy": {
        "ALL": {
            "system": "fuzzy-1",
            "inputs": {"lymphoblast_share": 0.5, "lymphoblast_nc_ratio": None},
            "rules": [{"rule": "weak", "strength": 0.1}, {"rule": "strong", "strength": 0.9}],
            "score": 0.91,
        }
    },
    "specimen": {
        "m_e_ratio": {"value": 3.4, "ci_low": 2.5, "ci_high": 4.6},
        "smudge_per_100": 1.3,
        "adequacy": {"index": 0.2, "adequate": False, "reason": "diluted with blood"},
        "between_areas": [{"cell_class": "lymphoblast", "chi2": 30.0, "df": 3, "p": 0.001, "dispersion": 3.0}],
    },
}


def test_further_evidence_is_shown_where_there_is_any() -> None:
    page = content(with_evidence(case(), **MORE))
    facts = {fact.name: (fact.value, fact.note) for fact in page.differentials[0].facts}
    assert facts["Myeloid to erythroid (M:E)"] == ("3.4 : 1", "2.5\u2060\u2013\u20604.6")
    assert facts["Dilution with blood"] == ("possible", "diluted with blood")
    assert facts["Smudge cells"][0] == "1.3"
    assert "Count about 800 more cells." in page.next_step
    (view,) = page.fuzzy
    assert (view.score, [rule.value for rule in view.rules]) == ("0.91", ["strong", "weak"])
    assert [fact.value for fact in page.certainty] == ["800 more cells", "unevenly spread"]


@pytest.mark.parametrize(("high", "said"), [(4.6, "2.5\u2060\u2013\u20604.6"), (None, "at least 2.5")])
def test_a_ratio_without_an_upper_end_says_so(high: float | None, said: str) -> None:
    ratio = {"value": 3.4, "ci_low": 2.5, "ci_high": high}
    (one,) = content(with_evidence(case(), specimen={"m_e_ratio": ratio})).differentials
    assert [fact.note for fact in one.facts if "M:E" in fact.name] == [said]


def test_an_interval_that_uneven_spread_widened_is_told_from_others() -> None:
    of = case()
    widened = [{**one, "design_effect": 2.5} for one in of.evidence["criteria"]]
    assert content(with_evidence(of, criteria=widened)).criteria[0].spread.startswith("Unevenly spread: 2.5 cells")
    assert [one.spread for one in content(of).criteria] == ["", ""]


CORRECTED = {
    "specimen": "marrow",
    "cell_class": "lymphoblast",
    "counted": {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6},
    "corrected": {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6},
}


def with_persons(use: Use) -> Content:
    persons = PERSONS | {"specimens": [{**PERSONS["specimens"][0], "corrected_shares": use.value}]}
    return content(with_evidence(case(), persons=persons, corrected_shares=[CORRECTED]))


def test_what_became_of_the_cells_that_persons_named_is_told() -> None:
    named, follows = with_persons(Use.UNFIT).persons
    assert named.name == "Cells named by a person in marrow"
    assert named.value == "40, 12 of them otherwise than by the model"
    assert named.note.startswith("Corrected shares: none are given: of the judged calls")
    assert follows.value == "So it is."
    assert content(case()).persons == ()


def test_nothing_is_shown_as_corrected_where_persons_named_every_cell() -> None:
    assert with_persons(Use.NEEDLESS).corrections == ()
    assert [one.name for one in with_persons(Use.OF_OTHERS).corrections] == ["Lymphoblasts"]


def test_a_share_has_the_same_interval_wherever_it_stands() -> None:
    page = content(case())
    facts = {fact.name: fact.note for fact in page.key_facts}
    (blasts, plasma) = page.criteria
    assert facts["Lymphoblasts"] == f"{blasts.interval}, threshold {blasts.threshold}"
    assert facts["Plasma cells"] == f"{plasma.interval}, threshold {plasma.threshold}"


def stop(slide_id: int, **more: Any) -> dict[str, Any]:
    """Return evidence of a slide that was read to its end by a rule with looks."""
    read = {"look": None, "cells": 171, "batches_read": 40, "error_share": 0.9, "reason": "read to its end: no look"}
    return {"slide_id": slide_id, "rule": case().report.rule, **read, **more}


def test_where_counting_stopped_and_why_is_told_of_each_slide() -> None:
    reason = "clear of every threshold at the look at 500 cells: lymphoblasts 290 of 512 cells in marrow"
    early = stop(1, look=500, cells=512, batches_read=1, rule="rule-of-before", reason=reason)
    page = content(with_evidence(case(), counting=[early, stop(2)]))
    first, second = page.stops
    assert (first.name, first.value) == ("Slide 1", "stopped at 512 counted cells")
    assert first.note == (
        "After 1 of 1 parts, taken in a random order: at the look at 500 cells every interval was clear of its "
        "threshold, by the looks of rule-of-before, which held then. Lymphoblasts 290 of 512 cells in marrow."
    )
    assert second.value == "read to its end: 171 counted cells"
    assert second.note == "No look was clear of every threshold."
    counted = next(fact for fact in page.key_facts if fact.name == "Cells counted")
    assert counted.note == "4 cells not called, 1 slide stopped early"


def test_nothing_is_told_of_looks_that_no_rule_took() -> None:
    page = content(case())
    assert (page.stops, page.stops_lead) == ((), "")
    assert "stopped" not in " ".join(fact.note for fact in page.key_facts)


@pytest.mark.parametrize(
    ("specimen", "of", "within", "on_slide"),
    [
        (Specimen.MARROW, "the marrow", "marrow", "marrow"),
        (Specimen.UNKNOWN, "a specimen that is not stated", "a specimen that is not stated", "not stated"),
    ],
)
def test_a_specimen_is_named_in_words_wherever_it_stands(
    specimen: Specimen, of: str, within: str, on_slide: str
) -> None:
    share = {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    corrected = {"cell_class": "lymphoblast", "specimen": specimen.value, "counted": share, "corrected": share}
    judged = {**case().evidence["criteria"][0], "specimen": specimen.value}
    more = {"specimen": MORE["specimen"], "corrected_shares": [corrected], "criteria": [judged]}
    page = content(with_evidence(case(specimen=specimen), **more))
    assert {one.specimen for one in page.differentials} | {one.specimen for one in page.comparisons} == {of}
    assert {one.specimen for one in page.criteria} | {one.specimen for one in page.corrections} == {within}
    assert [one.name for one in page.certainty if one.value == "unevenly spread"] == [f"Lymphoblasts in {within}"]
    assert [fact.value for one in page.slides for fact in one.facts if fact.name == "Specimen"] == [on_slide, on_slide]


FIRST_KEYS = {"rule", "finding_so_far", "slides", "criteria", "lineage", "clonality", "classifier_errors"}
FIRST_OF_SPECIMEN = {"specimen", "cells", "min_cells", "abstained", "counts", "slides_done"}


def test_evidence_of_an_older_verdict_leaves_those_parts_out() -> None:
    of = case()
    specimens = [{k: v for k, v in one.items() if k in FIRST_OF_SPECIMEN} for one in of.evidence["specimens"]]
    first = {k: v for k, v in of.evidence.items() if k in FIRST_KEYS} | {"specimens": specimens}
    page = content(replace(of, evidence=first))
    assert (page.fuzzy, page.certainty, page.corrections, page.differentials[0].facts) == ((), (), (), ())
    assert len(page.criteria) == 2
    assert "more cells" not in page.next_step


def test_a_verdict_without_evidence_still_has_a_report() -> None:
    page = content(replace(case(), evidence={}))
    assert (page.criteria, page.differentials, page.comparisons) == ((), (), ())
    assert page.headline == "Consistent with acute lymphoblastic leukaemia (ALL)"


def test_cells_that_persons_named_are_told_and_the_others_are_those_nobody_looked_at() -> None:
    page = content(case(), named=3)
    assert [fact.value for fact in page.key_facts if fact.name == "Named by a person"] == ["6 cells"]
    assert [fact.value for fact in page.provenance if fact.name == "Persons"] == ["6 cells named by a person"]
    assert page.made.endswith(". 6 cells were named by a person; nobody has looked at the others for this report.")
    untouched = content(case())
    assert untouched.made.endswith("; nobody has looked at them for this report.")
    assert "person" not in " ".join(fact.name for fact in untouched.key_facts)


def test_versions_and_slides_can_be_traced() -> None:
    page = content(case())
    said = {fact.name: fact.value for fact in page.provenance}
    assert (said["Model"], said["Weights"], said["Rule"]) == ("m1", "a" * 64, case().report.rule)
    assert [(fact.name, fact.value) for fact in page.files] == [("1.svs", "1" * 64), ("2.svs", "2" * 64)]
    assert [fact.value for fact in page.of_model] == ["It has seen little.", "Non-commercial."]
