from __future__ import annotations

import pytest

from db.records import NOT_COUNTED, CellClass
from worker.outputs.report import words


def test_every_class_has_a_name_and_every_counted_one_a_lineage() -> None:
    assert set(words.SINGULAR) == set(CellClass) == set(words.ORDER)
    assert len(words.ORDER) == len(CellClass)
    assert {one for group in words.LINEAGES.values() for one in group} == set(CellClass) - NOT_COUNTED


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.9999, ">\u00a099.9\u202f%"), (0.00001, "<\u00a00.1\u202f%"), (0.5, "50.0\u202f%")],
)
def test_a_chance_is_never_said_to_be_none_or_certain(probability: float, said: str) -> None:
    assert words.chance(probability) == said


def test_a_call_is_never_wholly_sure() -> None:
    assert [words.sureness(p) for p in (0.9999, 0.99, 0.51)] == [">\u00a099\u202f%", "99\u202f%", "51\u202f%"]


def test_numbers_and_their_unit_stay_on_one_line() -> None:
    assert words.span(0.524, 0.6) == "52.4\u2060\u2013\u206060.0\u202f%"


def test_one_is_not_many() -> None:
    assert (words.number_of(1, "slide"), words.number_of(1200, "slide")) == ("1 slide", "1,200 slides")
