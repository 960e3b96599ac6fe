from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import cells
from db.errors import BadOutputError
from db.records import Batch, Cell

F32 = st.floats(width=32, allow_nan=False)
F64 = st.floats(allow_nan=False)


def _cell(no: int = 0, **changes: object) -> Cell:
    plain = Cell(
        cell_no=no,
        x_l0=1.5,
        y_l0=2.5,
        cell_class="lymphocyte",
        abstained=False,
        probabilities=(0.25, 0.75),
        features={"b": 2.0, "a": 1.0},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def _fields(rows: bytes) -> Iterator[list[bytes]]:
    """Take rows of binary COPY apart, by PostgreSQL's description of the format."""
    at = 0
    while at < len(rows):
        (n,) = struct.unpack_from(">h", rows, at)
        at += 2
        fields = []
        for _ in range(n):
            (size,) = struct.unpack_from(">i", rows, at)
            fields.append(rows[at + 4 : at + 4 + size])
            at += 4 + size
        yield fields


def _reals(value: bytes) -> list[float]:
    dimensions, has_nulls, kind = struct.unpack_from(">iii", value)
    assert (has_nulls, kind) == (0, 700)
    if dimensions == 0:
        assert len(value) == 12
        return []
    size, first = struct.unpack_from(">ii", value, 12)
    assert (dimensions, first) == (1, 1)
    assert len(value) == 20 + 8 * size
    pairs = [struct.unpack_from(">if", value, 20 + 8 * i) for i in range(size)]
    assert all(length == 4 for length, _ in pairs)
    return [number for _, number in pairs]


@given(
    run_id=st.integers(1, 2**62),
    no=st.integers(0, 2**31 - 1),
    x=F64,
    y=F64,
    abstained=st.booleans(),
    probabilities=st.lists(F32, min_size=1, max_size=4),
    features=st.dictionaries(st.text(min_size=1), F32, max_size=4),
)
def test_binary_rows_hold_exactly_the_cells_values(
    run_id: int,
    no: int,
    x: float,
    y: float,
    abstained: bool,
    probabilities: list[float],
    features: dict[str, float],
) -> None:
    one = _cell(no, x_l0=x, y_l0=y, abstained=abstained, probabilities=tuple(probabilities), features=features)
    ((run, batch, number, left, top, name, flag, p, f),) = _fields(cells._binary_rows(run_id, 7, "smudge", [one]))
    assert struct.unpack(">q", run) + struct.unpack(">i", batch) + struct.unpack(">i", number) == (run_id, 7, no)
    assert struct.unpack(">dd", left + top) == (x, y)
    assert (name, flag) == (b"smudge", bytes([abstained]))
    assert _reals(p) == probabilities
    assert _reals(f) == [features[key] for key in sorted(features)]


def test_one_row_per_cell_in_their_order() -> None:
    rows = list(_fields(cells._binary_rows(1, 0, "lymphocyte", [_cell(3), _cell(1), _cell(2)])))
    assert [struct.unpack(">i", row[2])[0] for row in rows] == [3, 1, 2]


def test_cells_with_different_numbers_of_probabilities_are_refused() -> None:
    with pytest.raises(BadOutputError, match="probabilities"):
        cells._binary_rows(1, 0, "lymphocyte", [_cell(), _cell(1, probabilities=(1.0,))])


def test_feature_names_are_sorted_and_must_agree() -> None:
    batch = Batch(no=3, cells=(_cell(), _cell(1, features={"a": 0.0, "b": 0.0})))
    assert cells.feature_names(batch) == cells.feature_names(batch, expected=["a", "b"]) == ["a", "b"]
    with pytest.raises(BadOutputError, match="earlier batches"):
        cells.feature_names(batch, expected=["a"])
    with pytest.raises(BadOutputError, match="batch 3"):
        cells.feature_names(Batch(no=3, cells=(_cell(), _cell(1, features={"a": 0.0}))))


def test_a_batch_without_cells_has_the_features_that_were_expected() -> None:
    assert cells.feature_names(Batch(no=0, cells=())) is None
    assert cells.feature_names(Batch(no=0, cells=()), expected=("a",)) == ["a"]


def test_an_outline_is_written_as_pairs_in_their_order() -> None:
    row = cells._outline_row(5, 1, _cell(2, outline_l0=((1, 2), (3, 4), (-5, 6))))
    assert row == "5\t1\t2\t{1,2,3,4,-5,6}\n"
