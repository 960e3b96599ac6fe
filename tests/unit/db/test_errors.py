from __future__ import annotations

import pickle

import pytest

from db import errors


@pytest.mark.parametrize("kind", errors.DatabaseError.__subclasses__())
def test_an_error_crosses_a_process_border_with_its_text(kind: type[errors.DatabaseError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("run 7: why")))  # noqa: S301 — our own bytes
    assert type(copy) is kind
    assert str(copy) == "run 7: why"
