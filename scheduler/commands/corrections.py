"""`marrowline corrections import/list/export`: what persons say of cells, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from db import agreement, patients, reports
from db.agreement import CorrectionReport, DisputedReport
from db.reports import PatientReport
from db.session import transaction
from scheduler.cli import NOTICE
from scheduler.commands import screen
from scheduler.commands.bar import counting_bar
from scheduler.commands.empty import why_empty
from scheduler.commands.patient_table import show_patients
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab, Limit, Offset
from scheduler.corrections.take_in import Imported, Reading, take_in
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of
from scheduler.workshop import part, workshop_of
from worker.errors import BadRequestError
from worker.verdict import decide

corrections = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What persons say of cells: import it, list it, export the cells to train on.",
    epilog=NOTICE,
)
Patient = Annotated[str | None, typer.Option(metavar="ID", help="Only this patient's.")]
_LONGEST_NAME = 80


@corrections.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="GeoJSON from QuPath, or CSV.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says it: a name or initials, stored as given.")],
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="You looked at every cell in the files: those you left are confirmed.")
    ] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Cells that are missing in a file were deleted: count them as artefacts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take in a person's classes of cells and judge the patients anew; a file counts as a whole or not at all.

    The model's class is kept beside. The same file once more changes nothing.
    """
    name = _name(by)
    reading = Reading(reviewed=reviewed, deleted=deleted)
    with engine_of(resolve()) as engine:
        found = {path: _one(engine, path, name, reading, quiet=as_json) for path in files}
        judged = _judged(engine, {one for imported in found.values() for one in imported.recorded.patients})
    if as_json:
        screen.print_json({"files": [_document(path, one) for path, one in found.items()], "patients": judged})
        return
    screen.say()
    if judged:
        show_patients(judged)
    else:
        screen.say("Nothing new was said: every finding stays as it is.")
    screen.close()


@corrections.command("list")
def list_(
    lab: Lab = None,
    patient: Patient = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Only what this person said.")] = None,
    disputed: Annotated[bool, typer.Option("--disputed", help="The cells on which persons disagree.")] = False,
    limit: Limit = 200,
    offset: Offset = 0,
    as_json: Json = False,
) -> None:
    """Show what persons said of cells, or on which cells they disagree."""
    if disputed and by is not None:
        raise BadRequestError("a dispute has more than one side: leave --by out")
    page: dict[str, Any] = {"lab": lab, "patient": patient, "limit": limit, "offset": offset}
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found: list[Any] = (
            agreement.disputed(conn, **page) if disputed else agreement.corrections(conn, made_by=by, **page)
        )
        nothing = why_empty(conn, found, _nothing_said(by, disputed), lab=lab, patient=patient, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    if nothing:
        screen.say(nothing)
    elif disputed:
        _show_disputed(found)
    else:
        _show_words(found)
    if len(found) == limit:
        screen.hint(f"there may be more: --offset {offset + limit}")
    screen.close()


@corrections.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder for the set.")],
    patient: Annotated[str | None, typer.Argument(metavar="[PATIENT]", help="Only this patient's cells.")] = None,
    lab: Lab = None,
    as_json: Json = False,
) -> None:
    """Write the cells that persons judged as a set that `marrowline train classifier --data` reads.

    Cells on which persons disagree are left out. The manifest names no patient.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadRequestError(f"{out} is there and not empty: name a new folder, so that no two sets are mixed")
    with workshop_of(resolve()) as workshop, counting_bar("read") as tell:
        made = part("corrections_export")(workshop, out, tell, lab=lab, patient=patient)
    if as_json:
        screen.print_json(made)
        return
    listed = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in made.cells.items())
    screen.say(Text(f"{made.folder}: {listed or 'no cells'}", overflow="fold"))
    if made.disputed or made.damaged:
        screen.say(f"Left out: {made.disputed:,} disputed, {made.damaged:,} whose pixels cannot be read any more.")
    screen.close()


def _nothing_said(by: str | None, disputed: bool) -> str:
    if disputed:
        return "No cells are disputed."
    return "No corrections yet." if by is None else f"No corrections by {by}."


def _name(by: str) -> str:
    name = by.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise typer.BadParameter(f"give a name of 1 to {_LONGEST_NAME} characters", param_hint="--by")
    return name


def _one(engine: Engine, path: Path, name: str, reading: Reading, *, quiet: bool) -> Imported:
    """Take in a file and say at once what became of it: one that follows may be refused."""
    found = take_in(engine, path, name, decide, reading)
    if not quiet:
        screen.say(Text.assemble((path.name, "bold"), f": {_words(found)}", overflow="fold"))
    return found


def _words(found: Imported) -> str:
    counts = {
        "changed": found.recorded.changed,
        "confirmed": found.recorded.confirmed,
        "nothing new": found.untouched,
        "without a class, left alone": found.unclassified,
        "no cells of ours, left alone": found.foreign,
    }
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number) or "nothing in it"


def _document(path: Path, found: Imported) -> dict[str, Any]:
    return {
        "file": str(path),
        "changed": found.recorded.changed,
        "confirmed": found.recorded.confirmed,
        "nothing_new": found.untouched,
        "without_class": found.unclassified,
        "not_ours": found.foreign,
    }


def _judged(engine: Engine, patient_ids: set[int]) -> list[PatientReport]:
    with transaction(engine) as conn:
        named = patients.names(conn, patient_ids)
        return [one for lab, patient in named for one in reports.patients(conn, lab=lab, patient=patient)]


def _show_words(found: list[CorrectionReport]) -> None:
    made = screen.table(
        "slide", "run/batch/cell", "called", "given", "by", "counts", "note", right=("run/batch/cell",), wrap=("note",)
    )
    for one in found:
        made.add_row(
            one.key,
            f"{one.run_id}/{one.batch_no}/{one.cell_no}",
            _called(one),
            Text(one.cell_class, style="bold" if one.cell_class != one.called else ""),
            one.made_by,
            "yes" if one.counts else "no",
            one.note or "",
        )
    screen.say(made)


def _show_disputed(found: list[DisputedReport]) -> None:
    made = screen.table("slide", "run/batch/cell", "called", "what persons say", right=("run/batch/cell",))
    for one in found:
        said = ", ".join(f"{who}: {what}" for who, what in sorted(one.words.items()))
        made.add_row(one.key, f"{one.run_id}/{one.batch_no}/{one.cell_no}", one.called or screen.NONE, said)
    screen.say(made)


def _called(one: CorrectionReport) -> str:
    return "abstained" if one.abstained else one.called or screen.NONE
