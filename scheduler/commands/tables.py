"""`marrowline patients`, `slides`, `runs` and `cells`: the report views, filtered and paged."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from db import cell_reports, reports
from db.session import transaction
from scheduler.commands import screen
from scheduler.commands.patient_table import show_patients
from scheduler.commands.screen import Json
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of

Lab = Annotated[str | None, typer.Option(metavar="LAB", help="Only this lab's.")]
Patient = Annotated[str | None, typer.Option(metavar="ID", help="Only this patient's.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many rows.")]
Offset = Annotated[int, typer.Option(min=0, help="Leave out so many rows first.")]
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
    if as_json:
        screen.print_json(found)
        return
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
    if as_json:
        screen.print_json(found)
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
    screen.say(made if found else "No slides yet.")
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
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = reports.runs(conn, lab=lab, patient=patient, state=state, limit=limit, offset=offset)
    if as_json:
        screen.print_json(found)
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
    screen.say(made if found else "No runs yet.")
    _more(len(found), limit, offset)
    screen.close()


def cells(
    patient: Annotated[str, typer.Option(metavar="ID", help="Whose cells.")],
    lab: Lab = None,
    cell_class: Annotated[str | None, typer.Option("--class", metavar="CLASS", help="Only this class.")] = None,
    limit: Limit = 1000,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """Show a patient's cells with their calls; --json adds features, all probabilities and outlines."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = cell_reports.cells(conn, lab=lab, patient=patient, cell_class=cell_class, limit=limit, offset=offset)
    if as_json:
        screen.print_json(found)
        return
    made = screen.table("slide", "x_l0", "y_l0", "class", "probability", "", right=("x_l0", "y_l0", "probability"))
    for one in found:
        made.add_row(
            one.key,
            f"{one.x_l0:.1f}",
            f"{one.y_l0:.1f}",
            one.cell_class,
            f"{one.probability:.3f}",
            "abstained" if one.abstained else "",
        )
    screen.say(made if found else "No cells of finished slides.")
    _more(len(found), limit, offset)
    screen.close()


def _progress(slide: reports.SlideReport) -> str:
    if slide.state == "reading" and slide.batches:
        return f"reading {100 * slide.batches_written // slide.batches} %"
    return slide.state


def _more(shown: int, limit: int, offset: int) -> None:
    if shown == limit:
        screen.hint(f"there may be more: --offset {offset + limit}")
