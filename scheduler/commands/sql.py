"""`marrowline sql`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from db import reports
from db.query import answered
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.exports import FORMATS
from scheduler.live import engine_of

FILE_TIMEOUT_S = 600.0
"""How long the first rows of a file may take; a screen's have 30 s."""


def sql(
    query: Annotated[
        str, typer.Argument(metavar='"SELECT ..."', help="One query; its tables are those of schema report.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the rows into a file, however many they are.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="csv|parquet", help="Of the file; as its name ends when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one read-only query as the reporting role: report.patients, slides, runs, cells, differential and others."""
    if out is not None:
        _into_file(query, out, _format(out, file_format), as_json=as_json)
        return
    if file_format is not None:
        raise typer.BadParameter("name the file with --out", param_hint="--format")
    with engine_of(resolve()) as engine:
        columns, rows = reports.query(engine, query)
    if as_json:
        screen.print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    screen.show_rows(columns, rows)
    screen.say()
    screen.say(_rows(len(rows)))
    screen.close()


def _format(out: Path, asked: str | None) -> str:
    chosen = asked or out.suffix.removeprefix(".").lower()
    if chosen not in FORMATS:
        raise typer.BadParameter(f"{chosen!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    return chosen


def _into_file(query: str, out: Path, chosen: str, *, as_json: bool) -> None:
    with engine_of(resolve()) as engine, answered(engine, query, timeout_s=FILE_TIMEOUT_S) as answer:
        count = FORMATS[chosen](out, answer)
    if as_json:
        screen.print_json({"file": str(out), "format": chosen, "rows": count})
        return
    screen.say(f"{_rows(count)} in {out}")
    screen.close()


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
