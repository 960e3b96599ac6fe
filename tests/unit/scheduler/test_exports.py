from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from db.query import Answer, Row
from scheduler import exports
from scheduler.cli import NOTICE
from worker.errors import BadRequestError

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
KINDS = {"n": 20, "share": 701, "total": 1700, "name": 25, "done": 16, "at": 1184, "day": 1082, "facts": 3802,
         "p": 1021, "other": 2950}  # fmt: skip
ROW: Row = (7, 0.1, Decimal(12), 'a "b", c\nd', True, AT, date(2026, 3, 1), {"k": [1, "ä"]}, [0.5, 0.25], "uuid")
NULLS: Row = (None,) * len(KINDS)
WRITERS = pytest.mark.parametrize("write", [exports.write_csv, exports.write_parquet])


def answer(*parts: list[Row]) -> Answer:
    return Answer(columns=tuple(KINDS), kinds=tuple(KINDS.values()), parts=iter(parts))


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_every_row_with_its_names(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert exports.write_csv(path, answer([ROW, NULLS], [ROW])) == 3
    first, nulls, last = csv_rows(path)
    assert first == last
    assert first["name"] == 'a "b", c\nd'
    assert (first["n"], first["share"], first["done"], first["at"]) == ("7", "0.1", "true", "2026-03-01T12:30:00+00:00")
    assert json.loads(first["facts"]) == {"k": [1, "ä"]}
    assert set(nulls.values()) == {""}


def test_parquet_has_a_type_for_each_column_and_says_what_it_may_be_used_for(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    assert exports.write_parquet(path, answer([ROW], [NULLS])) == 2
    found = pyarrow.parquet.read_table(path)
    assert found.schema.metadata[b"use"].decode() == NOTICE
    assert {name: str(found.schema.field(name).type) for name in KINDS} == {
        "n": "int64",
        "share": "double",
        "total": "double",
        "name": "string",
        "done": "bool",
        "at": "timestamp[us, tz=UTC]",
        "day": "date32[day]",
        "facts": "string",
        "p": "list<element: float>",
        "other": "string",
    }
    first, nulls = found.to_pylist()
    assert (first["n"], first["total"], first["at"], first["p"]) == (7, 12.0, AT, [0.5, 0.25])
    assert json.loads(first["facts"]) == {"k": [1, "ä"]}
    assert set(nulls.values()) == {None}


@WRITERS
def test_an_answer_without_rows_is_a_file_with_names_only(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert write(path, answer([])) == 0
    assert path.stat().st_size > 0


@WRITERS
def test_a_file_is_there_when_it_is_complete(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("older")

    def broken() -> Iterator[list[Row]]:
        yield [ROW]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, Answer(columns=tuple(KINDS), kinds=tuple(KINDS.values()), parts=broken()))
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "older"


@WRITERS
def test_a_file_that_cannot_be_written_is_named(write: Any, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"nowhere.*give a file in a folder"):
        write(tmp_path / "nowhere" / "x", answer([ROW]))
