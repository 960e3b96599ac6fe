from __future__ import annotations

from typing import Any

import pytest

from worker.proof.verdicts import same


@pytest.mark.parametrize(
    ("stored", "again"),
    [
        ({"a": 1}, {"a": 1, "added later": 2}),
        ({"a": [{"b": 0.1}]}, {"a": [{"b": 0.1 + 1e-12, "c": None}]}),
        (0.0, 0),
        (None, None),
    ],
)
def test_what_is_stored_may_be_less_and_differ_in_last_digits(stored: Any, again: Any) -> None:
    assert same(stored, again)


@pytest.mark.parametrize(
    ("stored", "again"),
    [
        ({"a": 1, "gone": 2}, {"a": 1}),
        ([1], [1, 2]),
        ([1, 2], [2, 1]),
        (0.1, 0.1001),
        (1, 2),
        (0.5, None),
        (None, 0.5),
        ("a", "b"),
        ({"a": {}}, {"a": []}),
    ],
)
def test_what_is_stored_must_all_be_there(stored: Any, again: Any) -> None:
    assert not same(stored, again)
