from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cell_ids import cell_id, cell_mark, cell_of_mark

KEYS = st.tuples(st.integers(1, 2**53), st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))


@given(KEYS, KEYS)
def test_a_mark_names_one_cell_and_an_identifier_too(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert cell_of_mark(cell_mark(*one)) == one
    assert (cell_id(*one) == cell_id(*other)) == (one == other)


def test_an_identifier_never_changes() -> None:
    assert str(cell_id(7, 3, 12)) == "47d977e2-0c90-5885-9009-efdb3bd567f4"


@pytest.mark.parametrize("mark", ["", "7/3", "7/3/12/1", "7/3/x", "7/-3/12", "7/3/ 12", "7/3/¹", f"7/3/{10**19}"])
def test_another_text_is_no_mark(mark: str) -> None:
    assert cell_of_mark(mark) is None
