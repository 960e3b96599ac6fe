"""`marrowline sql`."""

from __future__ import annotations

from typing import Annotated

import typer

from db import reports
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of


def sql(
    query: Annotated[
        str, typer.Argument(metavar='"SELECT ..."', help="One query; its tables are those of schema report.")
    ],
    as_json: Json = False,
) -> None:
    """Run one read-only query as the reporting role: report.patients, slides, runs, cells, differential."""
    with engine_of(resolve()) as engine:
        columns, rows = reports.query(engine, query)
    if as_json:
        screen.print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    screen.show_rows(columns, rows)
    screen.say()
    screen.say(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}")
    screen.close()
