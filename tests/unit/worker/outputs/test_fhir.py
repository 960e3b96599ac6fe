from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.cases import Case
from db.counts import SpecimenTally
from db.records import CellClass, Specimen
from tests.support.export_cases import SLIDE, case_with
from tests.support.fhir_schema import faults
from tests.support.tallies import tally_of
from worker.outputs.fhir.write import bundle_of
from worker.outputs.panel import NOTICE
from worker.rules import RULES
from worker.verdict import decide

EVIDENCE = {
    "criteria": [{"disease": "ALL", "specimen": "marrow", "cell_class": "lymphoblast", "threshold": 0.2}],
    "specimens": [
        {
            "specimen": "marrow", "cells": 683, "abstained": 20, "min_cells": 500, "slides_done": 1,
            "counts": {"eosinophil": 13, "lymphoblast": 300, "lymphocyte": 350, "smudge": 9},
            "shares": {"lymphoblast": {"value": 0.4392, "ci_low": 0.4, "ci_high": 0.48}},
            "m_e_ratio": {"value": 3.21, "ci_low": 2.5, "ci_high": 4.1}, "smudge_per_100": 1.3,
        },
        {
            "specimen": "blood", "cells": 40, "abstained": 0, "min_cells": 200, "slides_done": 1,
            "counts": {"eosinophil": 4, "neutrophil": 36},
        },
    ],
}  # fmt: skip
FULL = case_with(
    SLIDE, replace(SLIDE, slide_id=13, specimen="blood", sha256="c" * 64, taken_at=None), evidence=EVIDENCE
)  # fmt: skip
TORN = replace(
    SLIDE, slide_id=14, state="quarantined", error_code="blank", reason="bare glass", cells=None, run_id=9, sha256=None,
    stain=None, taken_at=None,
)  # fmt: skip
CASES = {
    "full": FULL,
    "early verdict": case_with(),
    "nothing counted": case_with(evidence={"specimens": [
        {"specimen": "unknown", "cells": 0, "abstained": 0, "counts": {}, "min_cells": 500, "slides_done": 1}]}),
    "no slide read": case_with(TORN, finding="incomplete"),
}  # fmt: skip


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = (entry["resource"] for entry in bundle["entry"])
    return [one for one in found if one["resourceType"] == kind]


def observation(bundle: dict[str, Any], code: str, nth: int = 0) -> dict[str, Any]:
    return [one for one in resources(bundle, "Observation") if code in codes(one["code"])][nth]


def codes(concept: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in concept["coding"]]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value["reference"],) if "reference" in value else ()
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(one)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_bundle_is_as_the_specification_says(case: Case) -> None:
    bundle = json.loads(json.dumps(bundle_of(case)))
    assert faults(bundle) == []
    addresses = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(addresses)) == len(addresses)
    assert set(references(bundle)) <= set(addresses)


ONE = st.just(1)
COUNTS = st.dictionaries(st.sampled_from([one.value for one in CellClass]), st.integers(0, 900))
TALLIES = st.lists(
    st.builds(
        SpecimenTally, specimen=st.sampled_from(Specimen), counts=COUNTS, abstained=st.integers(0, 400), slides_done=ONE
    ),
    max_size=3,
    unique_by=lambda tally: tally.specimen,
)


@settings(max_examples=40, deadline=None)
@given(specimens=TALLIES, rule=st.sampled_from(sorted(RULES)))
def test_any_verdict_is_a_bundle_as_the_specification_says(specimens: list[SpecimenTally], rule: str) -> None:
    verdict = decide(tally_of(*specimens, rule=rule, model_version="m1"))
    case = case_with(evidence=verdict.evidence, finding=verdict.finding.value, reason=verdict.reason, rule=rule)
    bundle = json.loads(json.dumps(bundle_of(case), allow_nan=False))
    assert faults(bundle) == []
    for evidence in verdict.evidence["specimens"]:
        judged = [one for one in verdict.evidence["criteria"] if one["specimen"] == evidence["specimen"]]
        assert all(observation(bundle, one["cell_class"]) for one in judged)


def test_the_schema_finds_what_is_wrong() -> None:
    bundle = json.loads(json.dumps(bundle_of(FULL)))
    for spoil in ({"status": "sure"}, {"conclusions": "x"}, {"code": {"texts": "x"}}):
        spoilt = deepcopy(bundle)
        spoilt["entry"][0]["resource"] |= spoil
        assert faults(spoilt)
    assert faults(bundle | {"type": "heap"})


def test_the_report_is_preliminary_and_says_finding_reason_rule_and_use() -> None:
    bundle = bundle_of(FULL)
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["conclusion"] == (
        "consistent with ALL: lymphoblasts 300 of 683 cells. Research use only, not for diagnostic procedures. "
        "Rule: marrowline-2026.1."
    )
    assert codes(report["conclusionCode"][0]) == ["consistent_with_ALL"]
    assert len(report["result"]) == len(resources(bundle, "Observation"))
    assert all(one["status"] == "preliminary" and one["note"] == [{"text": NOTICE}]
               for one in resources(bundle, "Observation"))  # fmt: skip


def test_of_the_patient_the_pseudonym_stands_once_and_nothing_else() -> None:
    bundle = bundle_of(FULL)
    (patient,) = resources(bundle, "Patient")
    assert patient.keys() == {"resourceType", "identifier"}
    assert patient["identifier"][0]["value"] == "P-1"
    assert json.dumps(bundle).count("P-1") == 1


def test_a_share_comes_with_its_count_its_interval_and_its_threshold() -> None:
    blasts = observation(bundle_of(FULL), "lymphoblast")
    assert blasts["valueQuantity"] == {
        "value": 43.92, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%",
    }  # fmt: skip
    parts = {codes(part["code"])[0]: part["valueQuantity"]["value"] for part in blasts["component"]}
    assert parts == {"count": 300, "ci_low": 40.0, "ci_high": 48.0, "threshold": 20.0}


def test_a_verdict_without_intervals_gives_shares_of_its_counts() -> None:
    eosinophils = observation(bundle_of(FULL), "eosinophil", nth=1)
    assert eosinophils["valueQuantity"]["value"] == 10.0
    assert [codes(part["code"]) for part in eosinophils["component"]] == [["count"]]


def test_cells_that_persons_named_are_told_of_their_specimen_alone() -> None:
    bundle = bundle_of(FULL, {"marrow": 1200})
    told = "a scanned smear by a neural network, 1,200 of them as a person named them"
    assert observation(bundle, "lymphoblast")["method"]["text"].endswith(told)
    assert observation(bundle, "neutrophil")["method"]["text"].endswith("by a neural network")
    assert resources(bundle, "DiagnosticReport")[0]["text"]["div"].count(told) == 1
    assert faults(json.loads(json.dumps(bundle))) == []


def test_loinc_stands_where_a_term_fits_and_only_for_marrow() -> None:
    bundle = bundle_of(FULL)
    assert codes(observation(bundle, "eosinophil")["code"]) == ["11152-6", "eosinophil"]
    assert codes(observation(bundle, "eosinophil", nth=1)["code"]) == ["eosinophil"]
    assert codes(observation(bundle, "m_e_ratio")["code"]) == ["11138-5", "m_e_ratio"]
    assert codes(observation(bundle, "lymphoblast")["code"]) == ["lymphoblast"]
    assert not [one for one in resources(bundle, "Observation") if "smudge" in codes(one["code"])]


def test_slides_are_known_by_their_bytes_and_say_how_they_stand() -> None:
    (specimen,) = resources(bundle_of(case_with(SLIDE, TORN)), "Specimen")
    first, second = specimen["container"]
    assert first["identifier"][0]["value"] == "b" * 64
    assert (first["description"], second["description"]) == (
        "slide 12; done; cells found: 1; stain: MGG", "slide 14; quarantined; blank: bare glass",
    )  # fmt: skip


def test_what_is_read_as_a_page_is_escaped() -> None:
    (report,) = resources(bundle_of(case_with(reason="5 < 6 & <script>")), "DiagnosticReport")
    assert "5 &lt; 6 &amp; &lt;script&gt;" in report["text"]["div"]


def test_the_page_has_every_digit_of_a_large_count() -> None:
    many = {"specimen": "marrow", "cells": 1_234_567, "abstained": 0, "counts": {"neutrophil": 1_234_567}}
    (report,) = resources(bundle_of(case_with(evidence={"specimens": [many]})), "DiagnosticReport")
    assert "<td>cells counted</td><td>1,234,567 cells</td>" in report["text"]["div"]
    assert "<td>100 %</td>" in report["text"]["div"]


def test_the_page_tells_specimens_apart() -> None:
    (report,) = resources(bundle_of(FULL), "DiagnosticReport")
    marrow, blood = report["text"]["div"].split("blood smear")
    assert "eosinophils of all counted cells</td><td>1.9034 %" in marrow.split("bone marrow smear")[1]
    assert "eosinophils of all counted cells</td><td>10 %" in blood
