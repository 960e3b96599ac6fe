"""`marrowline patients`, `slides`, `runs` and `cells`: the report views, filtered and paged."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from db import absence, cell_reports, reports
from db.errors import NotFoundError
from db.records import CellClass, RunState
from db.session import transaction
from scheduler.commands import screen
from scheduler.commands.empty import why_empty
from scheduler.commands.patient_table import NO_PATIENTS, show_patients
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of

Lab = Annotated[str | None, typer.Option(metavar="LAB", help="Only this lab's.")]
Patient = Annotated[str | None, typer.Option(metavar="ID", help="Only this patient's.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many rows.")]
Offset = Annotated[int, typer.Option(min=0, help="Leave out so many rows first.")]
_NUMBERS = ("x_l0", "y_l0", "probability")
STATES = {
    "waiting": "cyan",
    "pending": "cyan",
    "retry_wait": "yellow",
    "reading": "blue",
    "running": "blue",
    "done": "green",
    "quarantined": "red",
    "cancelled": "dim",
}


def patients(
    lab: Lab = None, patient: Patient = None, limit: Limit = 200, offset: Offset = 0, as_json: Json = False
) -> None:
    """Show each patient's finding with its shares, their intervals and the reason."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = reports.patients(conn, lab=lab, patient=patient, limit=limit, offset=offset)
        nothing = why_empty(conn, found, NO_PATIENTS, lab=lab, patient=patient, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    if nothing:
        screen.say(nothing)
    else:
        show_patients(found)
    _more(len(found), limit, offset)
    screen.close()


def slides(
    lab: Lab = None,
    patient: Patient = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="waiting, reading, done, quarantined or cancelled.")
    ] = None,
    limit: Limit = 200,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """Show where each slide stands, and why it stopped where it did."""
    if state is not None and state not in STATES:
        raise typer.BadParameter("give waiting, reading, done, quarantined or cancelled", param_hint="--state")
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = reports.slides(conn, lab=lab, patient=patient, state=state, limit=limit, offset=offset)
        otherwise = f"No slide is {state}." if state else "No slides yet."
        nothing = why_empty(conn, found, otherwise, lab=lab, patient=patient, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    made = screen.table("id", "slide", "state", "cells", "µm/px", "scale", "trouble", right=("id", "cells", "µm/px"))
    for slide in found:
        made.add_row(
            str(slide.slide_id),
            slide.key,
            Text(_progress(slide), style=STATES[slide.state]),
            screen.cell(slide.cells),
            screen.cell(slide.mpp_um),
            slide.mpp_source or screen.NONE,
            slide.error_code or screen.NONE,
        )
    screen.say(nothing or made)
    _more(len(found), limit, offset)
    screen.close()


def runs(
    lab: Lab = None,
    patient: Patient = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="pending, running, retry_wait, done, …")] = None,
    limit: Limit = 200,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """Show each reading of a slide by a model version, past ones too."""
    if state is not None and state not in set(RunState):
        raise typer.BadParameter(f"give one of {', '.join(RunState)}", param_hint="--state")
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = reports.runs(conn, lab=lab, patient=patient, state=state, limit=limit, offset=offset)
        otherwise = f"No run is {state}." if state else "No runs yet."
        nothing = why_empty(conn, found, otherwise, lab=lab, patient=patient, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    made = screen.table(
        "run", "slide", "model", "state", "tries", "cells", "last step", right=("run", "tries", "cells")
    )
    for run in found:
        made.add_row(
            str(run.run_id),
            run.key,
            run.model_version,
            Text(run.state, style=STATES[run.state]),
            f"{run.attempts - run.releases}/{run.max_attempts}",
            screen.cell(run.cells),
            run.error_code or run.change_reason,
        )
    screen.say(nothing or made)
    _more(len(found), limit, offset)
    screen.close()


def cells(
    patient: Annotated[str, typer.Option(metavar="ID", help="Whose cells.")],
    lab: Lab = None,
    cell_class: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Only cells that the model called so.")
    ] = None,
    limit: Limit = 1000,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """Show a patient's cells with their calls and corrections; --json adds features, probabilities and outlines.

    Exit 1 where no such patient is known.
    """
    if cell_class is not None and cell_class not in set(CellClass):
        raise typer.BadParameter(f"give one of {', '.join(CellClass)}", param_hint="--class")
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        if missing := absence.unknown(conn, lab=lab, patient=patient):
            raise NotFoundError(missing)
        found = cell_reports.cells(conn, lab=lab, patient=patient, cell_class=cell_class, limit=limit, offset=offset)
        otherwise = f"No cell was called {cell_class}." if cell_class else "No cells of finished slides."
        nothing = why_empty(conn, found, otherwise, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    made = screen.table("slide", "x_l0", "y_l0", "called", "probability", "corrected", right=_NUMBERS)
    for one in found:
        made.add_row(
            one.key,
            f"{one.x_l0:.1f}",
            f"{one.y_l0:.1f}",
            f"{one.cell_class}?" if one.abstained else one.cell_class,
            f"{one.probability:.3f}",
            Text(one.corrected_class or screen.NONE, style=_corrected_style(one)),
        )
    screen.say(nothing or made)
    if any(one.abstained for one in found):
        screen.say("A class with ? was not called: it is the likeliest, and counts for no class.")
    _more(len(found), limit, offset)
    screen.close()


def _progress(slide: reports.SlideReport) -> str:
    if slide.state == "reading" and slide.batches:
        return f"reading {100 * slide.batches_written // slide.batches} %"
    return slide.state


def _corrected_style(one: cell_reports.CellReport) -> str:
    """Return a style that tells a cell of another class from one whose call a person confirmed."""
    if one.corrected_class is None:
        return "dim"
    return "bold" if one.abstained or one.corrected_class != one.cell_class else ""


def _more(shown: int, limit: int, offset: int) -> None:
    if shown == limit:
        screen.hint(f"there may be more: --offset {offset + limit}")
