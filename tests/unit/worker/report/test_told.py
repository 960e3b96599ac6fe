"""What stands at the head of a report, and what decides: found by its words, as a reader would."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from db.cases import Case
from db.records import Specimen
from tests.support.cases import ALL_LIKE, AT, MM_LIKE, NORMAL, case, slide
from tests.support.report_pages import page_without_pictures as content
from tests.unit.worker.report.test_pdf import squeezed, words_of
from worker.outputs.fhir.write import bundle_of
from worker.outputs.report.html import rendered
from worker.outputs.report.page import content_of
from worker.outputs.report.pdf import typeset


@pytest.mark.parametrize(
    ("counts", "tone", "headline", "sentence"),
    [
        (ALL_LIKE, "disease", "acute lymphoblastic leukaemia", "Lymphoblasts are 55.9\u202f% of the cells counted"),
        (MM_LIKE, "disease", "multiple myeloma", "Plasma cells are 29.8\u202f% of the cells counted in marrow"),
        (NORMAL, "clear", "No evidence of ALL or MM", "lies below the threshold of 10\u202f% for MM"),
        ({"lymphoblast": 130, "neutrophil": 530}, "doubt", "Indeterminate", "includes the threshold of 20\u202f%"),
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


def withdrawn(of: Case, *, left: bool) -> Case:
    """Return the case with two more slides, withdrawn; with `left` false nothing else is left of it."""
    gone = [replace(slide(no), state="cancelled", error_code="withdrawn", reason="wrong <patient>") for no in (8, 9)]
    if left:
        return replace(of, slides=(*of.slides, *gone))
    none = replace(
        of.report, slides_done=0, cells=0, shares={}, finding="insufficient", reason="no slide has been read"
    )
    return replace(of, report=none, evidence={}, slides=tuple(gone))


def test_a_patient_whose_slides_were_all_withdrawn_is_told_so() -> None:
    of = withdrawn(case(), left=False)
    page = content_of(of, (), [], {})
    assert page.headline == "Insufficient: every slide was withdrawn"
    said = "Every slide of this patient was withdrawn, 2 slides; nothing rests on them"
    assert f"{said}: 8.svs (wrong <patient>), 9.svs (wrong <patient>)." in page.plain
    assert "`marrowline retry SLIDE`" in page.next_step
    for text in (rendered(page), words_of(typeset(page, at=AT)), json.dumps(bundle_of(of))):
        assert squeezed(said) in squeezed(text)
    assert "8.svs" not in json.dumps(bundle_of(of))  # names of files may hold the pseudonym


def test_withdrawn_slides_beside_others_are_told_and_leave_the_finding() -> None:
    page = content(withdrawn(case(), left=True))
    assert "acute lymphoblastic leukaemia" in page.headline
    assert page.plain[-1].startswith("Withdrawn: 2 slides; nothing rests on them: 8.svs")
    assert "withdrawn" not in " ".join(content(case()).plain).lower()


def test_no_finding_claims_what_the_rule_did_not_judge() -> None:
    page = content(case(NORMAL, specimen=Specimen.BLOOD))
    assert page.headline == "No evidence of ALL in the counted cells"
    assert "Not judged, because the rule has no threshold for it here: multiple myeloma." in page.limits


def test_a_model_that_calls_hardly_anything_is_said_before_the_intervals() -> None:
    page = content(case({"neutrophil": 200}, abstained=400))
    assert page.plain[0] == "The model would not call 400 of 600 cells in marrow: check that these are stained smears."


def test_what_is_reached_is_told_before_what_is_not() -> None:
    page = content(case(MM_LIKE))
    assert [one.disease for one in page.criteria] == ["MM", "ALL"]
    assert [sentence.split()[0] for sentence in page.plain] == ["Plasma", "Lymphoblasts"]


OPEN = {**MM_LIKE, "lymphoblast": 2}


def test_where_two_thresholds_are_reached_that_is_said_and_no_figure_twice() -> None:
    page = content(case({"lymphoblast": 300, "plasma_cell": 150, "neutrophil": 200}))
    assert page.plain[0].startswith("More than one threshold is reached, and")
    assert [sentence.split()[0] for sentence in page.plain[1:]] == ["Lymphoblasts", "Plasma"]


def test_a_disease_that_cells_without_a_call_leave_open_is_said_to_be() -> None:
    page = content(case(OPEN, abstained=150))
    assert page.headline == "Consistent with multiple myeloma (MM)"
    assert page.plain[-1] == "ALL is not excluded: cells that were not called could be lymphoblasts."
    assert "not excluded" not in " ".join(content(case(MM_LIKE)).plain)


def test_a_probability_says_for_what_it_takes_the_cells_without_a_call() -> None:
    plain, doubtful = content(case(OPEN, abstained=0)).criteria[1], content(case(OPEN, abstained=150)).criteria[1]
    assert plain.chance.startswith("Probability that the true share reaches it: <")
    assert doubtful.verdict == "undecided"
    assert doubtful.chance.startswith("Probability that the true share reaches it, without cells not called: <")


def test_a_probability_of_marrow_is_not_told_of_blood() -> None:
    of = case()
    blood = {**of.evidence["specimens"][0], "specimen": "blood"}
    criteria = [of.evidence["criteria"][0], {**of.evidence["criteria"][0], "specimen": "blood"}]
    both = replace(of, evidence={**of.evidence, "specimens": [*of.evidence["specimens"], blood], "criteria": criteria})
    assert [(one.specimen, bool(one.chance)) for one in content(both).criteria] == [("marrow", True), ("blood", False)]


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
