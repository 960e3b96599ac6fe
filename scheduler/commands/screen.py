"""What commands put on the screen: tables for people, or exactly one JSON document; never both."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from scheduler.cli import NOTICE

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
NONE = "-"
"""Shown where there is no value."""
_PLAIN_WIDTH = 100
"""Columns where the output is no terminal."""


def console(*, stderr: bool = False) -> Console:
    """Return a console; a width is fixed only where no terminal has one."""
    found = Console(stderr=stderr, highlight=False, markup=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=_PLAIN_WIDTH)


def say(text: RenderableType = "") -> None:
    """Print to stdout."""
    console().print(text)


def hint(text: str) -> None:
    """Print to stderr, dimmed: what is being done, what to do next."""
    console(stderr=True).print(Text(text, style="dim"))


def close() -> None:
    """End what people read with the notice that every output carries."""
    console().print(Text(NOTICE, style="dim italic"))


def print_json(document: Any) -> None:
    """Print one JSON document; dataclasses become objects, times ISO 8601."""
    sys.stdout.write(json.dumps(document, default=_plain, ensure_ascii=False, indent=1) + "\n")


def print_listed(rows: Any, nothing: str) -> None:
    """Print rows as JSON; why there are none goes to stderr, as a list says nothing of it."""
    print_json(rows)
    if nothing:
        hint(nothing)


def table(*columns: str, right: Iterable[str] = (), wrap: Iterable[str] = ()) -> Table:
    """Return an empty table; a column is cut short rather than wrapped unless it is named in `wrap`."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    right, wrap = set(right), set(wrap)
    for name in columns:
        made.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in wrap, overflow=_overflow(name, wrap)
        )
    return made


def facts(pairs: Mapping[str, Text] | Mapping[str, str]) -> Table:
    """Return names and values below each other."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, value)
    return made


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print any rows: as a table where its lines fit, one value per line where they do not."""
    listed = [[cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[at]) for row in listed)]) for at, name in enumerate(columns)]
    if sum(widths) + 2 * len(widths) > console().width:
        for number, row in enumerate(listed, start=1):
            say(Text(f"row {number}", style="bold"))
            say(facts(dict(zip(columns, row, strict=True))))
        return
    made = table(*columns)
    for at, column in enumerate(made.columns):
        if listed and all(_is_number(row[at].plain) for row in listed):
            column.justify = "right"
    for row in listed:
        made.add_row(*row)
    say(made)


def cell(value: Any) -> Text:
    """Return one value as it is shown in a table."""
    if value is None:
        return Text(NONE, style="dim")
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    if isinstance(value, dict | list):
        return Text(json.dumps(value, default=_plain, ensure_ascii=False))
    return Text(str(value))


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units."""
    if seconds is None:
        return NONE
    whole = int(seconds)
    for unit, size, part, part_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part_size} {part}"
    return f"{whole} s"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == NONE
    return True


def _overflow(name: str, wrap: set[str]) -> Any:
    return "fold" if name in wrap else "ellipsis"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
