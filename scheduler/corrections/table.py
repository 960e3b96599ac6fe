"""Corrections out of a CSV file: each row is a word, on a cell by its numbers or on the one at a place of a slide.

In a table that `marrowline report --format csv` wrote the model's class stays as it is, and `corrected_class` is what a
person fills in: a row without it says nothing, nor does one whose cell counts as that class already.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from db.corrections import Said
from db.places import Place
from scheduler.corrections.words import Pointed, Words, class_of
from worker.errors import BadRequestError

_ALSO = {
    "run_id": "run", "batch_no": "batch", "cell_no": "cell", "cell_class": "class", "key": "slide", "x_l0": "x",
    "y_l0": "y",
}  # fmt: skip
_BY_NUMBER, _BY_PLACE = ("run", "batch", "cell", "class"), ("slide", "x", "y", "class")
_NUMBER_DIGITS = 18


def read_table(path: Path, *, reviewed: bool = False) -> Words:
    """Return what the rows say.

    A class that was filled into a table of `report --format csv` is no word where it repeats the call or what another
    person gave, unless `reviewed`: the person looked at each cell of which the table holds a class.

    Raises BadRequestError, naming the line and what is wrong with it, for a row that says nothing that can be done.
    """
    said, pointed = [], []
    for where, row in _rows(path):
        note = row.get("note") or None
        name = class_of(row["class"], where).value
        if "run" in row:
            run_id, batch_no, cell_no = (_number(row, column, where) for column in _BY_NUMBER[:3])
            said.append(
                Said(
                    where=where,
                    run_id=run_id,
                    batch_no=batch_no,
                    cell_no=cell_no,
                    cell_class=name,
                    note=note,
                    unless_told=row["exported"] == "yes" and not reviewed,
                )
            )
        else:
            x_l0, y_l0 = (_length(row, column, where) for column in ("x", "y"))
            place = Place(where=where, slide_key=row["slide"], x_l0=x_l0, y_l0=y_l0)
            pointed.append(Pointed(place=place, cell_class=name, note=note))
    if not said and not pointed:
        raise BadRequestError(f"{path.name}: no row below the head names a class")
    return Words(said=tuple(said), pointed=tuple(pointed))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place in the file and the cells by column, those of a row by number or of one by place."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=_delimiter(head), restval="", restkey="", strict=True)
            columns = _columns(reader.fieldnames or ())
            exported = "yes" if columns.get("corrected_class") == "class" else ""
            wanted = _wanted(set(columns.values()), path.name)
            for row in reader:
                named = {columns[name]: value.strip() for name, value in row.items() if name in columns}
                if any(named.values()) and not (exported and not named["class"]):
                    where = f"{path.name}, line {reader.line_num}"
                    yield where, {name: named.get(name, "") for name in (*wanted, "note")} | {"exported": exported}
    except OSError as error:
        raise BadRequestError(f"{path} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequestError(f"{path.name} is no CSV file in UTF-8: {error}") from error


def _columns(names: Iterable[str]) -> dict[str, str]:
    """Return what each column is; of an export, `corrected_class` is the word, and the model's class is left aside."""
    plain = {name: name.strip().lower() for name in names}
    if "corrected_class" in plain.values() and "class" not in plain.values():
        plain = {name: "class" if word == "corrected_class" else word for name, word in plain.items()}
        plain = {name: word for name, word in plain.items() if word != "cell_class"}
    return {name: _ALSO.get(word, word) for name, word in plain.items()}


def _delimiter(head: str) -> str:
    """Return what parts the columns; spreadsheets of some languages write semicolons."""
    return max(",;\t", key=head.count)


def _wanted(columns: set[str], name: str) -> tuple[str, ...]:
    for wanted in (_BY_NUMBER, _BY_PLACE):
        if columns >= set(wanted):
            return wanted
    raise BadRequestError(
        f"{name}: the first line must name the columns {', '.join(_BY_NUMBER)}, or {', '.join(_BY_PLACE)}"
    )


def _number(row: Mapping[str, str], column: str, where: str) -> int:
    text = row[column]
    if not (text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS):
        raise BadRequestError(f"{where}: {column} {text!r} is no number of {column}")
    return int(text)


def _length(row: Mapping[str, str], column: str, where: str) -> float:
    try:
        found = float(row[column].replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or not 0 <= found < 1e9:
        raise BadRequestError(f"{where}: {column} {row[column]!r} is no place in level-0 pixels")
    return found
