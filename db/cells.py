"""Cells into the database by binary COPY, built with numpy: about as fast as Postgres can take them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO, StringIO
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from db.errors import BadOutputError
from db.records import Batch, Cell

_COPY_CELLS = (
    "COPY cell (run_id, batch_no, cell_no, x_l0, y_l0, cell_class, abstained, probabilities, features)"
    " FROM STDIN (FORMAT binary)"
)
_COPY_OUTLINES = "COPY outline (run_id, batch_no, cell_no, points_l0) FROM STDIN"
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the header's extension
_TRAILER = b"\xff\xff"
_FLOAT4_OID = 700


def copy_cells(conn: Connection, run_id: int, batch: Batch) -> None:
    """Add the cells and outlines of a batch whose own row exists and that has no cells yet.

    Raises BadOutputError when cells differ in their features' names or their number of probabilities, and
    psycopg2's IntegrityError or DataError when a constraint refuses a row.
    """
    if not batch.cells:
        return
    feature_names(batch)
    by_class: dict[str, list[Cell]] = {}
    for cell in batch.cells:
        by_class.setdefault(cell.cell_class, []).append(cell)
    rows = b"".join(_binary_rows(run_id, batch.no, name, cells) for name, cells in by_class.items())
    _copy(conn, _COPY_CELLS, BytesIO(_HEADER + rows + _TRAILER))
    outlines = "".join(_outline_row(run_id, batch.no, cell) for cell in batch.cells if cell.outline_l0)
    if outlines:
        _copy(conn, _COPY_OUTLINES, StringIO(outlines))


def feature_names(batch: Batch, *, expected: Sequence[str] | None = None) -> list[str] | None:
    """Return the sorted names of the cells' features, `expected` for a batch without cells.

    Raises BadOutputError when two cells, or the cells and `expected`, have different ones.
    """
    if not batch.cells:
        return None if expected is None else list(expected)
    names = sorted(batch.cells[0].features)
    if any(cell.features.keys() != batch.cells[0].features.keys() for cell in batch.cells):
        raise BadOutputError(f"batch {batch.no}: cells differ in the names of their features")
    if expected is not None and names != list(expected):
        raise BadOutputError(f"batch {batch.no}: other features than the run's earlier batches")
    return names


def _binary_rows(run_id: int, batch_no: int, cell_class: str, cells: list[Cell]) -> bytes:
    """Return the rows of cells of one class: with one class all rows are equally long, one numpy record each."""
    name = cell_class.encode()
    probabilities = _floats([cell.probabilities for cell in cells])
    features = _floats([[cell.features[key] for key in sorted(cells[0].features)] for cell in cells])
    columns: list[tuple[Any, Any]] = [
        (">i8", run_id),
        (">i4", batch_no),
        (">i4", [cell.cell_no for cell in cells]),
        (">f8", [cell.x_l0 for cell in cells]),
        (">f8", [cell.y_l0 for cell in cells]),
        (f"S{len(name)}", name),
        ("u1", [cell.abstained for cell in cells]),
        _array_column(probabilities),
        _array_column(features),
    ]
    fields = [("n", ">i2")]
    for number, (kind, _) in enumerate(columns):
        fields += [(f"bytes_{number}", ">i4"), (f"value_{number}", kind)]
    records = np.zeros(len(cells), dtype=fields)
    records["n"] = len(columns)
    for number, (kind, values) in enumerate(columns):
        records[f"bytes_{number}"] = np.dtype(kind).itemsize
        records[f"value_{number}"] = values
    return records.tobytes()


def _floats(rows: list[Any]) -> NDArray[np.float32]:
    if len({len(row) for row in rows}) != 1:
        raise BadOutputError("cells differ in their number of probabilities")
    return np.array(rows, dtype=np.float32).reshape(len(rows), -1)


def _array_column(values: NDArray[np.float32]) -> tuple[np.dtype[np.void], NDArray[np.void]]:
    """Return the (n, k) values as Postgres' binary real[]: head, then each element with its length."""
    k = values.shape[1]
    head = (1, 0, _FLOAT4_OID, k, 1) if k else (0, 0, _FLOAT4_OID)  # dimensions, has NULLs, type, size, first index
    kind = np.dtype([("head", ">i4", (len(head),)), ("body", [("bytes", ">i4"), ("value", ">f4")], (k,))])
    arrays = np.zeros(len(values), dtype=kind)
    arrays["head"] = head
    arrays["body"]["bytes"] = 4
    arrays["body"]["value"] = values
    return kind, arrays


def _outline_row(run_id: int, batch_no: int, cell: Cell) -> str:
    points = ",".join(map(str, chain.from_iterable(cell.outline_l0)))
    return f"{run_id}\t{batch_no}\t{cell.cell_no}\t{{{points}}}\n"


def _copy(conn: Connection, statement: str, rows: BytesIO | StringIO) -> None:
    driver: Any = conn.connection
    with driver.cursor() as cursor:
        cursor.copy_expert(statement, rows)
