from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.corrections.geojson import read_geojson
from scheduler.corrections.words import Words
from tests.support.exported import collection, feature
from worker.errors import BadRequestError

ANNOTATION = {"type": "Feature", "geometry": None, "properties": {"objectType": "annotation", "name": "my region"}}


def words(tmp_path: Path, *features: Any, reviewed: bool = False) -> Words:
    return read_geojson(collection(tmp_path / "a.geojson", list(features)), reviewed=reviewed)


def said(found: Words) -> list[tuple[int, int, int, str, bool]]:
    return [(one.run_id, one.batch_no, one.cell_no, one.cell_class, one.unless_told) for one in found.said]


def test_a_class_that_differs_from_the_exported_one_is_a_word(tmp_path: Path) -> None:
    found = words(
        tmp_path,
        feature(3, 0, "lymphocyte", seen="lymphocyte"),
        feature(3, 1, "plasma_cell", batch=2, seen="lymphocyte"),
    )
    assert said(found) == [(3, 2, 1, "plasma_cell", False)]
    assert (found.untouched, found.said[0].where) == (1, "a.geojson, feature 2")


def test_without_the_exported_class_only_news_is_a_word(tmp_path: Path) -> None:
    assert said(words(tmp_path, feature(3, 0, "lymphocyte"))) == [(3, 0, 0, "lymphocyte", True)]


def test_what_a_person_reviewed_is_a_word_even_as_it_was(tmp_path: Path) -> None:
    found = words(tmp_path, feature(3, 0, "lymphocyte", seen="lymphocyte"), reviewed=True)
    assert said(found) == [(3, 0, 0, "lymphocyte", False)]


@pytest.mark.parametrize("reviewed", [True, False])
def test_a_cell_that_the_model_would_not_call_says_nothing_until_it_has_a_class(
    tmp_path: Path, *, reviewed: bool
) -> None:
    found = words(
        tmp_path,
        feature(3, 0, "lymphocyte: abstained"),
        {
            "type": "Feature",
            "properties": {
                "metadata": {"marrowline": "3/0/1"},
                "classification": {"name": "lymphocyte: abstained", "colorRGB": -1},
            },
        },
        feature(3, 2, "lymphocyte", seen="abstained"),
        reviewed=reviewed,
    )
    assert said(found) == [(3, 0, 2, "lymphocyte", False)]
    assert found.untouched == 2


@pytest.mark.parametrize(
    ("name", "cell_class"),
    [
        ("Plasma cell", "plasma_cell"),
        ("PLASMA-CELL", "plasma_cell"),
        (" immature  granulocyte ", "immature_granulocyte"),
        ("Artifact", "artefact"),
    ],
)
def test_classes_are_known_in_the_spelling_of_persons(tmp_path: Path, name: str, cell_class: str) -> None:
    assert [one.cell_class for one in words(tmp_path, feature(1, 0, name)).said] == [cell_class]


def test_what_is_no_cell_of_ours_is_left_alone_and_counted(tmp_path: Path) -> None:
    strange = {"type": "Feature", "properties": {"metadata": {"marrowline": "1/2"}}}
    nothing = {"type": "Feature", "properties": None}
    found = words(tmp_path, ANNOTATION, strange, nothing, feature(1, 0, None), feature(1, 1, "smudge"))
    assert (found.foreign, found.unclassified, len(found.said)) == (3, 1, 1)
    assert found.present == {1: {(0, 0), (0, 1)}}


def test_a_class_that_is_none_of_ours_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"a\.geojson, feature 2: 'Tumor: Ki' is no class; give one of lympho"):
        words(tmp_path, feature(1, 0, "smudge"), feature(1, 1, "Tumor: Ki"))


def test_a_file_without_cells_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="no cell of ours"):
        words(tmp_path, ANNOTATION)
