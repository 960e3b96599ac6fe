"""Answers of the database as files for other programs: CSV, or Parquet where pyarrow is installed.

A file appears under its name when it is complete; what lay there before is replaced then.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from db.query import Answer, Row
from scheduler.cli import NOTICE
from scheduler.packages import install
from worker.errors import BadRequestError

_ARROW = {
    16: "bool", 21: "int16", 23: "int32", 20: "int64", 700: "float32", 701: "float64", 1700: "float64",
    1082: "date32", 1005: "int16[]", 1007: "int32[]", 1016: "int64[]", 1021: "float32[]", 1022: "float64[]",
    1009: "string[]",
}  # fmt: skip
"""What Postgres' types become, by their numbers; sums, which are numeric there, become numbers too."""
_TIMES = (1114, 1184)


def write_csv(path: Path, answer: Answer) -> int:
    """Write the answer as UTF-8 with a line of names; return the number of rows.

    NULL is an empty field, times are ISO 8601, lists and objects JSON. Raises BadRequestError when the file cannot be
    written.
    """
    count = 0
    with _appearing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(answer.columns)
        for rows in answer.parts:
            writer.writerows([_field(value) for value in row] for row in rows)
            count += len(rows)
    return count


def write_parquet(path: Path, answer: Answer) -> int:
    """Write the answer with a type for each column; return the number of rows.

    Times are UTC; objects, and types that Parquet lacks, become text. The file says in its own metadata what it may be
    used for. Raises BadRequestError when it cannot be written, or pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415 — of the extra `export`
        import pyarrow.parquet  # noqa: PLC0415 — as above
    except ModuleNotFoundError as error:
        raise BadRequestError(f"{error.name} is not installed: {install('export')}") from error
    kinds = [_arrow(pyarrow, kind) for kind in answer.kinds]
    schema = pyarrow.schema(list(zip(answer.columns, kinds, strict=True)), metadata={"use": NOTICE})
    count = 0
    with _appearing(path) as part, pyarrow.parquet.ParquetWriter(part, schema) as writer:
        for rows in answer.parts:
            columns = [_column(pyarrow, rows, at, kind) for at, kind in enumerate(kinds)]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


FORMATS: dict[str, Callable[[Path, Answer], int]] = {"csv": write_csv, "parquet": write_parquet}


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Yield the name to write under; it becomes the wanted one in the end, or is gone after an error."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise BadRequestError(f"{path}: {error.strerror}; give a file in a folder that you may write to") from error
    finally:
        part.unlink(missing_ok=True)


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return _json(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _arrow(pyarrow: Any, kind: int) -> Any:
    if kind in _TIMES:
        return pyarrow.timestamp("us", tz="UTC" if kind == _TIMES[1] else None)
    name = _ARROW.get(kind, "string")
    of_one = pyarrow.type_for_alias(name.removesuffix("[]"))
    return pyarrow.list_(of_one) if name.endswith("[]") else of_one


def _column(pyarrow: Any, rows: list[Row], at: int, kind: Any) -> Any:
    as_text = kind == pyarrow.string()
    return pyarrow.array([_told(row[at], as_text=as_text) for row in rows], type=kind)


def _told(value: Any, *, as_text: bool) -> Any:
    if value is None:
        return None
    if as_text:
        return _json(value) if isinstance(value, dict | list) else str(value)
    return float(value) if isinstance(value, Decimal) else value


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
