from __future__ import annotations

import json

import numpy as np
import pytest

from db.records import Cell, CellClass
from tests.support.called_cells import called_cell, field_of
from worker.errors import BadSlideError
from worker.nets.cards import Card
from worker.outputs.annotated import SIDE_PX, annotated
from worker.outputs.marks import MARKS
from worker.outputs.prediction import document_of, refused_document, told_probability
from worker.predict import Prediction, Scale, judge
from worker.slides.overview import Overview

BLAST, NEUTROPHIL = CellClass.LYMPHOBLAST, CellClass.NEUTROPHIL
CARD = Card(
    name="made-up", channels=(8,), created="2026-11-23", classes=("lymphoblast",), weights_sha256="ab", mpp_um=0.25,
    crop_px=80, mean=(0.5,) * 3, std=(0.2,) * 3,
)  # fmt: skip
FIELD = Overview(rgb=np.full((160, 200, 3), 230, np.uint8), factor=1)


def judged(*cells: Cell) -> Prediction:
    return judge(field_of(*cells), Scale(mpp_um=0.25, source="estimated"))


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


def test_the_answer_has_the_keys_that_are_promised() -> None:
    answer = json.loads(json.dumps(document_of(judged(*[called_cell(BLAST)] * 6), CARD)))
    assert (answer["cancer"], answer["type"]) == (True, "ALL")
    assert 0.99 < answer["probability"] <= 1.0
    assert {"inputs", "rules", "score"} <= set(answer["fuzzy"])
    assert answer["fuzzy"]["score"] == max(answer["fuzzy"]["scores"].values())
    assert answer["use"].startswith("research use only")
    assert answer["model"] == {"name": "made-up", "weights_sha256": "ab"}


def test_rules_are_listed_by_how_strongly_they_fired() -> None:
    rules = document_of(judged(called_cell(BLAST), called_cell(NEUTROPHIL)), CARD)["fuzzy"]["rules"]
    strengths = [rule["strength"] for rule in rules]
    assert strengths == sorted(strengths, reverse=True)
    assert min(strengths) > 0
    assert all(rule["rule"].startswith("IF ") for rule in rules)


def test_each_cell_says_what_it_is_called_and_whether_it_counts() -> None:
    cells = [called_cell(BLAST, abstained=True), called_cell(CellClass.PLATELET)]
    answer = document_of(judged(*cells), CARD)
    assert [(cell["class"], cell["abstained"], cell["counted"]) for cell in answer["cells"]] == [
        ("lymphoblast", True, True),
        ("platelet", False, False),
    ]
    assert (answer["counted"], answer["abstained"]) == (1, 1)
    assert answer["cells"][0]["probability"] == pytest.approx(0.97)


def test_a_refused_picture_has_an_answer_of_the_same_shape() -> None:
    refused = refused_document(BadSlideError("not_a_smear_histology", "a section", "upload a smear"))
    answer = document_of(judged(called_cell(NEUTROPHIL)), CARD)
    shared = {"cancer", "type", "probability", "reason", "fuzzy", "cells", "use"}
    assert shared <= set(refused) & set(answer)
    assert (refused["cancer"], refused["error_code"], refused["cells"]) == (None, "not_a_smear_histology", [])
    assert set(refused["fuzzy"]) == set(answer["fuzzy"])


def test_a_cell_is_outlined_in_the_colour_of_its_class_where_it_lies() -> None:
    picture = annotated(FIELD, judged(called_cell(BLAST, radius_um=6.0)))
    zoom = SIDE_PX / 200
    drawn = (picture[:, :SIDE_PX] == MARKS[BLAST][1]).all(axis=2)
    columns = np.flatnonzero(drawn[round(80.5 * zoom)])
    assert columns.min() == pytest.approx((100 - 24 + 0.5) * zoom, abs=8)
    assert columns.max() == pytest.approx((100 + 24 + 0.5) * zoom, abs=8)


def test_a_cell_without_a_call_is_grey() -> None:
    colour = MARKS[BLAST][1]
    assert has(annotated(FIELD, judged(called_cell(BLAST))), colour)
    assert not has(annotated(FIELD, judged(called_cell(BLAST, abstained=True)))[:, :SIDE_PX], colour)


def test_a_reduced_field_is_drawn_at_its_own_scale() -> None:
    half = Overview(rgb=FIELD.rgb[::2, ::2], factor=2)
    whole, reduced = (annotated(one, judged(called_cell(BLAST))) for one in (FIELD, half))
    assert whole.shape == reduced.shape
    assert np.mean(whole != reduced) < 0.01


def test_every_class_has_letters_and_a_colour_of_its_own() -> None:
    assert set(MARKS) == set(CellClass)
    assert len({letters for letters, _ in MARKS.values()}) == len({colour for _, colour in MARKS.values()}) == 14


def test_a_wide_field_leaves_room_for_what_is_said() -> None:
    wide = Overview(rgb=np.full((40, 400, 3), 230, np.uint8), factor=1)
    picture = annotated(wide, judged(*(called_cell(one) for one in CellClass)))
    assert picture.shape[0] >= 900


def test_a_field_without_cells_is_drawn_too() -> None:
    picture = annotated(FIELD, judged())
    assert picture.shape[1] > SIDE_PX


@pytest.mark.parametrize(
    ("probability", "told"),
    [
        (0.0, "below 0.001"),
        (6.3e-06, "below 0.001"),
        (0.356, "0.356"),
        (0.5, "0.5"),
        (0.99951, "above 0.999"),
        (1.0, "above 0.999"),
    ],
)
def test_a_probability_is_told_no_more_finely_than_it_is_known(probability: float, told: str) -> None:
    assert told_probability(probability) == told
