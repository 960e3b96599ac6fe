"""`marrowline demo`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from db import reports
from db.cases import case_of
from db.reports import PatientReport
from db.session import transaction
from scheduler.cli import EXIT_FAILED
from scheduler.commands import screen
from scheduler.commands.bar import counting_bar, reading_bar
from scheduler.commands.patient_table import finding_words, show_patients
from scheduler.commands.screen import Json
from scheduler.config import HomeSettings
from scheduler.demo import Comparison, DrawnSlide, compare, drawn_slides, uploads
from scheduler.embedded.home import home_at
from scheduler.embedded.resolve import Stack, resolve
from scheduler.live import engine_of, running
from scheduler.upload import put, stored
from scheduler.waiting import wait_for
from scheduler.workshop import part, workshop_of
from worker.storage import open_store


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where all of it is kept; left out: .marrowline/demo.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw marrow smears of three patients, read them through the whole line, and compare with what was drawn.

    One patient is like ALL, one like MM, one normal; two slides each. Everything stays readable in DIR afterwards,
    with a report of each patient in DIR/reports.
    Exit 1 when a finding is not the one that was drawn.
    """
    home = home_at(folder or HomeSettings().home / "demo")
    stack = resolve(home)
    with running(stack, screen.hint):
        with counting_bar("drawn") as tell:
            slides = drawn_slides(home.root / "drawn", tell)
        found = _read(stack, slides)
        written = _reports(stack, found)
    compared = compare(found, slides)
    if as_json:
        pages = {patient: str(page) for patient, page in written.items()}
        screen.print_json({"home": str(home.root), "patients": found, "truth": compared, "reports": pages})
    else:
        _show(found, compared, home.root, written)
    if not (compared and all(one.agrees for one in compared)):
        raise typer.Exit(EXIT_FAILED)


def _read(stack: Stack, slides: Sequence[DrawnSlide]) -> list[PatientReport]:
    store = open_store(stack.store_settings)
    planned = uploads(store, slides)
    for upload, sidecar in planned:
        put(store, upload, sidecar)
    objects = [stored(store, upload) for upload, _ in planned]
    with engine_of(stack) as engine:
        with reading_bar() as tell:
            wait_for(engine, objects, tell, store=store)
        with transaction(engine) as conn:
            return reports.patients(conn, lab=slides[0].lab)


def _reports(stack: Stack, found: Sequence[PatientReport]) -> dict[str, Path]:
    """Write each patient's report as a page; return the pages by patient."""
    folder = stack.home.root / "reports"
    folder.mkdir(exist_ok=True)
    pages: dict[str, Path] = {}
    with workshop_of(stack) as workshop, counting_bar("reports") as tell:
        for number, one in enumerate(found):
            tell(one.patient, number, len(found))
            with transaction(workshop.engine) as conn:
                case = case_of(conn, one.patient, one.lab)
            (pages[one.patient],) = part("report_html")(workshop, case, folder, _silent)
        tell("", len(found), len(found))
    return pages


def _silent(_what: str, _done: int, _total: int) -> None:
    """Take the progress of one report: it is too short to show."""


def _show(
    found: Sequence[PatientReport], compared: Sequence[Comparison], home: Path, written: Mapping[str, Path]
) -> None:
    show_patients(found)
    screen.say()
    screen.say(_beside_the_truth(compared))
    screen.say()
    agreed = sum(one.agrees for one in compared)
    screen.say(f"{agreed} of {len(compared)} findings are what was drawn. Reports, for a browser:")
    for patient, page in written.items():
        screen.say(Text(f"  {patient}: {page}", overflow="fold"))
    screen.say("Where to look next:")
    screen.say(Text(f"  export MARROWLINE_HOME={shlex.quote(str(home))}"))
    for command in (
        "patients --json",
        "slides",
        "cells --patient MM-like --class plasma_cell",
        'sql "SELECT * FROM report.differential"',
    ):
        screen.say(Text(f"  {_program()} {command}"))
    screen.say(Text(f"  slides as drawn, each with its truth: {home / 'drawn'}"))
    screen.close()


def _beside_the_truth(compared: Sequence[Comparison]) -> Table:
    """Return what was drawn beside what was found, each number under the word for which of the two it is."""
    numbers = ("cells\ndrawn", "cells\nfound", "lymphoblasts, %\ndrawn / found", "plasma cells, %\ndrawn / found")
    made = screen.table("patient", "finding\nas drawn", *numbers, right=numbers)
    for one in compared:
        made.add_row(
            one.patient,
            Text(finding_words(one.expected), style="green" if one.agrees else "bold red"),
            f"{one.drawn:,}",
            f"{one.cells:,} ({one.excess:+.1%})",
            *(f"{_percent(one.shares[name])} / {_percent(one.found[name])}" for name in ("lymphoblast", "plasma_cell")),
        )
    return made


def _percent(share: float | None) -> str:
    return screen.NONE if share is None else f"{100 * share:.1f}"


def _program() -> str:
    """Return how this command can be called again from here."""
    called = Path(sys.argv[0])
    known = called.name != "marrowline" or shutil.which(called.name) is not None
    return "marrowline" if known else os.path.relpath(called)
