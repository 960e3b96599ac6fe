"""What the fuzzy systems make of a patient, as a haematologist reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.counts import Measured, SlideTally, SpecimenTally
from db.records import Specimen
from tests.support.cases import ALL_LIKE, MM_LIKE, case, with_evidence
from worker.fuzzy.patients import SYSTEM, assess
from worker.outputs.report.content import FuzzyInput, FuzzyView
from worker.outputs.report.fuzzy import fuzzy

LIKE_BLASTS = Measured(probability=0.93, nc_ratio=0.71, nucleus_um2=58.4, nucleus_offset=0.17, of_cell_width=400)


def views(counts: dict[str, int], measured: Measured = LIKE_BLASTS) -> dict[str, FuzzyView]:
    """Return both views of one slide of such cells, all of them alike."""
    slide = SlideTally(slide_id=1, counts=counts, abstained=0, measured=dict.fromkeys(counts, measured))
    tally = SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=0, slides_done=1, slides=(slide,))
    return {one.disease: one for one in fuzzy(with_evidence(case(), fuzzy=assess(tally)))}


def of(view: FuzzyView, name: str) -> FuzzyInput:
    return next(one for one in view.inputs if one.name == name)


def said(one: FuzzyInput) -> tuple[str, str, str]:
    value, holds, limits = (text.replace("\u202f", " ") for text in (one.value, one.holds, one.limits))
    return value, holds, limits


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Lymphoblasts: share of the counted cells", ("56.2 %", "raised", "usual up to 5 %, raised from 20 %")),
        ("Lymphoblasts: area of the nucleus", ("58 µm²", "large", "small up to 30 µm², large from 45 µm²")),
        ("Lymphoblasts: nucleus, as a part of the cell's area", ("71 %", "high", "low up to 50 %, high from 67 %")),
        ("All counted cells", ("683", "enough", "few up to 3, enough from 29")),
    ],
)
def test_an_input_stands_in_its_unit_with_the_word_that_holds(name: str, expected: tuple[str, str, str]) -> None:
    assert said(of(views(dict(ALL_LIKE))["ALL"], name)) == expected


def test_between_two_limits_both_words_stand_with_how_far_they_hold() -> None:
    between = replace(LIKE_BLASTS, nucleus_offset=0.10)
    found = of(views(dict(MM_LIKE), between)["MM"], "Plasma cells: nucleus off the cell's middle")
    assert said(found)[:2] == ("0.10 of its radius", "central 0.67, eccentric 0.33")


def test_what_no_cell_tells_is_not_known() -> None:
    found = of(views(dict(ALL_LIKE))["MM"], "Plasma cells: mean probability of the calls")
    assert said(found)[:2] == ("\u2013", "not known")


def test_a_rule_is_told_by_what_it_means() -> None:
    rule = views(dict(ALL_LIKE))["ALL"].rules[0]
    assert rule.value == "Enough lymphoblasts, sure calls, and cells that look like them: ALL present"
    assert (rule.name, rule.note.startswith("Share raised, lower end raised, ")) == ("1.00", True)


@pytest.mark.parametrize(("counts", "word"), [(ALL_LIKE, "present"), (MM_LIKE, "absent")])
def test_the_score_is_told_by_its_word(counts: dict[str, int], word: str) -> None:
    view = views(dict(counts))["ALL"]
    assert view.meaning == f"Signs of acute lymphoblastic leukaemia in the specimen: {word}."


def test_a_system_that_is_not_known_is_shown_as_it_was_stored() -> None:
    stored = {"system": "older", "inputs": {"some_share": 0.12345}, "rules": [{"rule": "IF", "strength": 0.5}]}
    (view,) = fuzzy(with_evidence(case(), fuzzy={"ALL": stored}))
    assert view.inputs == (FuzzyInput(name="Some share", value="0.123", holds="", limits=""),)
    assert (view.meaning, view.score, [rule.value for rule in view.rules]) == ("", "\u2013", ["IF"])


@given(data=st.data())
def test_every_input_has_a_name_and_a_word_at_any_value(data: st.DataObject) -> None:
    values = {one.name: data.draw(st.floats(one.low, 2 * one.high)) for one in SYSTEM.inputs}
    stored = {"system": SYSTEM.name, "inputs": values, "rules": [], "score": data.draw(st.floats(0, 1))}
    (view,) = fuzzy(with_evidence(case(), fuzzy={"ALL": stored}))
    assert len({one.name for one in view.inputs}) == len(SYSTEM.inputs)
    assert all("_" not in one.name for one in view.inputs)
    words = {term.name for variable in SYSTEM.inputs for term in variable.terms}
    assert all(set(one.holds.split(", ")[0].split()[:1]) <= words for one in view.inputs)
    assert view.meaning
