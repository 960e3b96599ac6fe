"""What a report says of a case: found by its words, as a reader would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db.cases import Case
from db.records import Specimen
from tests.support.cases import ALL_LIKE, MM_LIKE, NORMAL, case, cell, with_evidence
from worker.outputs.report import finding
from worker.outputs.report.content import Content
from worker.outputs.report.page import Looked, content_of
from worker.outputs.report.sample import seen


def content(of: Case, *, named: int = 0) -> Content:
    """Return the report of two slides; on each a person has named so many cells."""
    counts = [("lymphoblast", 30), ("neutrophil", 10)], [("lymphoblast", 12), ("neutrophil", 28)]
    looked = []
    for no, (slide, parts) in enumerate(zip(of.read, counts, strict=True), start=1):
        names = [name for name, number in parts for _ in range(number)]
        cells = [cell(i, name, run_id=no) for i, name in enumerate(names)]
        cells[:named] = [replace(one, corrected_class=one.cell_class) for one in cells[:named]]
        looked.append(Looked(slide=slide, name=f"Slide {no}", cells=seen(cells, {}, otherwise=3)))
    return content_of(of, finding.deciding(of), looked, {})


@pytest.mark.parametrize(
    ("counts", "tone", "headline", "sentence"),
    [
        (ALL_LIKE, "disease", "acute lymphoblastic leukaemia", "Lymphoblasts are 55.9\u202f% of the cells counted"),
        (MM_LIKE, "disease", "multiple myeloma", "Plasma cells are 29.8\u202f% of the cells counted in marrow"),
        (NORMAL, "clear", "No evidence of ALL or MM", "lies below the threshold of 10\u202f% for MM"),
        ({"lymphoblast": 130, "neutrophil": 530}, "doubt", "Indeterminate", "holds the threshold of 20\u202f% for ALL"),
        ({"neutrophil": 100}, "open", "Insufficient", "104 cells counted in marrow specimen, the rule needs 500"),
    ],
)  # fmt: skip
def test_the_finding_is_said_first_and_in_plain_words(
    counts: dict[str, int], tone: str, headline: str, sentence: str
) -> None:
    page = content(case(counts))
    assert (page.tone, headline in page.headline) == (tone, True)
    assert sentence in " ".join(page.plain)
    assert page.next_step


def test_a_slide_that_could_not_be_read_is_named_with_its_remedy() -> None:
    page = content(case(quarantined=1))
    assert page.headline == "Incomplete: not every slide has been read"
    assert "so far say: consistent with ALL" in page.plain[0]
    (waiting,) = page.open_slides
    assert (waiting.name, waiting.reason, waiting.remedy) == ("3.svs", "its tiles <are torn>", "Scan it again.")


def test_no_finding_claims_what_the_rule_did_not_judge() -> None:
    page = content(case(NORMAL, specimen=Specimen.BLOOD))
    assert page.headline == "No evidence of ALL in the counted cells"
    assert "Not judged, because the rule has no threshold for it here: multiple myeloma." in page.limits


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
    judged = {"lymphoblast": {"value": 0.5, "ci_low": 0.3, "ci_high": 0.7}}
    (one,) = content(with_evidence(case(), specimen={"shares": judged})).differentials
    assert [row.interval for group in one.groups for row in group.rows if row.name == "Lymphoblasts"] == [
        "30.0\u2060\u2013\u206070.0\u202f%"
    ]


def test_smears_stand_beside_each_other_with_their_own_cells() -> None:
    tested = [{"cell_class": "lymphoblast", "chi2": 16.2, "df": 1, "p": 0.0001, "dispersion": 4.0}]
    first = content(with_evidence(case(), specimen={"between_slides": tested})).comparisons[0]
    assert (first.name, [share.cells for share in first.shares]) == ("Lymphoblasts", ["30 of 40", "12 of 40"])
    assert first.note == "more apart than chance explains (p < 0.001)"
    assert content(case()).comparisons[0].note == ""


MORE: dict[str, Any] = {
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


def test_a_model_that_calls_hardly_anything_is_said_before_the_intervals() -> None:
    page = content(case({"neutrophil": 200}, abstained=400))
    assert page.plain[0] == "The model would not call 400 of 600 cells: check that these are stained smears."


def test_an_unstated_specimen_is_why_nothing_is_decided() -> None:
    page = content(case(specimen=Specimen.UNKNOWN))
    assert page.plain == ("The specimen is not stated, and no rule holds for an unknown one.",)
    assert "state which of them was smeared" in page.next_step
    assert "state which" not in content(case({"lymphoblast": 130, "neutrophil": 530})).next_step


def test_it_is_told_once_what_is_looked_for_and_what_a_cell_is_that_is_not_called() -> None:
    page = content(case())
    assert page.reading.startswith("The cells that are looked for: lymphoblasts for ALL and plasma cells for MM. ")
    assert "(the rule says: abstained)" in page.reading
    assert content(case(NORMAL, specimen=Specimen.BLOOD, abstained=0)).reading == (
        "The cells that are looked for: lymphoblasts for ALL."
    )


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
