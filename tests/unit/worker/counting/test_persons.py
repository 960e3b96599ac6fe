"""What the evidence says of the cells that persons judged, and of what is still told by the model's calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from db.counts import SlideTally, SpecimenTally, Tally
from db.patients import digest
from db.records import Confusion, Specimen
from worker.rules import DEFAULT_RULE
from worker.verdict import decide

CLASSES = ("lymphoblast", "plasma_cell", "neutrophil")
MATRIX = Confusion(classes=CLASSES, counts=((90, 5, 5, 0), (5, 90, 5, 0), (5, 5, 90, 0)))


def tally(*slides: dict[str, int], judged: dict[str, dict[str, int]] | None = None) -> Tally:
    names = {name for one in slides for name in one}
    specimen = SpecimenTally(
        specimen=Specimen.MARROW,
        counts={name: sum(one.get(name, 0) for one in slides) for name in sorted(names)},
        abstained=0,
        slides_done=len(slides),
        slides=tuple(SlideTally(slide_id=no, counts=counts, abstained=0) for no, counts in enumerate(slides, 1)),
        judged=judged or {},
    )
    return Tally(
        model_version="m",
        rule=DEFAULT_RULE,
        specimens=(specimen,),
        slides_done=len(slides),
        slides_open=0,
        slides_quarantined=0,
        confusion=MATRIX,
    )


def evidence(judged: dict[str, dict[str, int]]) -> dict[str, Any]:
    return dict(decide(tally({"lymphoblast": 100, "neutrophil": 500}, judged=judged)).evidence)


def test_without_words_nothing_is_said_of_persons() -> None:
    whole = tally({"lymphoblast": 100, "neutrophil": 500})
    assert "persons" not in decide(whole).evidence
    unsaid = replace(whole, specimens=tuple(replace(one, judged={"neutrophil": {}}) for one in whole.specimens))
    assert digest(unsaid) != digest(whole)


@pytest.mark.parametrize(
    ("judged", "changed", "said"),
    [
        ({"neutrophil": {"neutrophil": 290, "lymphoblast": 5}}, 5, "cells that nobody judged are corrected"),
        (
            {"neutrophil": {"lymphoblast": 30}, "abstained": {"neutrophil": 5}},
            35,
            "none are given: of the judged calls",
        ),
        ({"neutrophil": {"neutrophil": 500}, "lymphoblast": {"lymphoblast": 100}}, 0, "persons judged every cell"),
    ],
)
def test_it_says_how_many_cells_were_judged_and_what_the_matrix_is_good_for(
    judged: dict[str, dict[str, int]], changed: int, said: str
) -> None:
    found = evidence(judged)
    (one,) = found["persons"]["specimens"]
    cells = sum(n for given in judged.values() for n in given.values())
    assert (one["specimen"], one["cells"], one["changed"]) == ("marrow", cells, changed)
    assert one["corrected_shares"].startswith(said)
    shares = [share["corrected"] for share in found["corrected_shares"]]
    assert all(shares) is not said.startswith("none")
    assert json.loads(json.dumps(found)) == found


def test_it_says_what_is_told_by_the_calls() -> None:
    found = evidence({"neutrophil": {"neutrophil": 10}})
    assert all(key in found or key in found["specimens"][0] for key in found["persons"]["by_the_calls"])
    assert "spread between slides" in found["persons"]["meaning"]
