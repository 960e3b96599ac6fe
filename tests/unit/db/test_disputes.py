from __future__ import annotations

from math import dist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.disputes import Place, Word, Words

REACH_L0 = 8.0


def word(number: int, by: str, cell_class: str, *place_l0: float) -> Word:
    return Word(number=number, made_by=by, cell_class=cell_class, place_l0=(place_l0[0], place_l0[1]))


def disputed(words: list[Word], *places_l0: Place) -> bool:
    return Words(words, REACH_L0).disputed(places_l0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([word(1, "ada", "smudge", 0, 0), word(2, "ben", "lymphocyte", 0, 0)], True),
        ([word(1, "ada", "smudge", 0, 0), word(2, "ben", "smudge", 5, 5)], False),
        ([word(1, "ada", "smudge", 0, 0), word(2, "ben", "lymphocyte", 9, 0)], False),  # of another nucleus
        ([word(1, "ada", "smudge", 0, 0), word(2, "ada", "lymphocyte", 5, 5)], False),  # she changed her mind
        ([word(1, "ada", "smudge", 0, 0), word(2, "ben", "lymphocyte", -5, 5)], True),  # on another reading
        (
            [
                word(1, "ada", "smudge", 0, 0),
                word(2, "ben", "lymphocyte", 4, 0),
                word(3, "ada", "lymphocyte", 2, 0),  # came round, on a third reading
            ],
            False,
        ),
    ],
)
def test_a_place_is_disputed_when_the_last_words_on_it_differ(said: list[Word], expected: bool) -> None:
    assert disputed(said, (0.0, 0.0)) is expected
    assert disputed(said[::-1], (0.0, 0.0)) is expected, "words may come in any order"


def test_a_cell_that_took_a_word_over_is_disputed_where_the_word_is() -> None:
    said = [word(1, "ada", "smudge", 0, 0), word(2, "ben", "lymphocyte", 7, 0)]
    assert not disputed(said, (14.0, 0.0))
    assert disputed(said, (14.0, 0.0), (7.0, 0.0))


CO = st.floats(-30, 30)


@given(
    told=st.lists(st.tuples(CO, CO, st.sampled_from("abc"), st.sampled_from(["smudge", "lymphocyte"])), max_size=30),
    place=st.tuples(CO, CO),
)
def test_squares_find_what_a_look_at_every_word_finds(
    told: list[tuple[float, float, str, str]], place: tuple[float, float]
) -> None:
    words = [word(no, by, name, x, y) for no, (x, y, by, name) in enumerate(told)]
    last = {one.made_by: one.cell_class for one in words if dist(one.place_l0, place) <= REACH_L0}
    assert disputed(words, place) is (len(set(last.values())) > 1)
