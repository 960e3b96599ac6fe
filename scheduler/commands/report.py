"""`marrowline report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from db.cases import case_of
from db.session import transaction
from scheduler.commands import screen
from scheduler.commands.bar import counting_bar
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab
from scheduler.embedded.resolve import resolve
from scheduler.workshop import part, parts, workshop_of
from worker.errors import BadRequestError

PREFIX = "report_"
"""Of the names that the worker's writers are registered under."""


def report(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="Whose: the pseudonym.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go; made when it is not there.")],
    lab: Lab = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", metavar="F,F", help="html, pdf, geojson, geojson.gz, csv, fhir, dicom: which, with commas."
        ),
    ] = "html",
    as_json: Json = False,
) -> None:
    """Write a patient's report and its cells for other programs."""
    wanted = _formats(formats)
    with workshop_of(resolve()) as workshop:
        with transaction(workshop.engine) as conn:
            case = case_of(conn, patient, lab)
        _make(out)
        written: dict[str, list[Path]] = {}
        for name in wanted:
            with counting_bar(name) as tell:
                written[name] = part(PREFIX + name)(workshop, case, out, tell)
    if as_json:
        screen.print_json({name: [str(path) for path in paths] for name, paths in written.items()})
        return
    for name, paths in written.items():
        for path in paths:
            screen.say(Text(f"{name:8} {path}", overflow="fold"))
    screen.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequestError(f"{folder} cannot be made a folder for the files: {error.strerror}") from error


def _formats(asked: str) -> list[str]:
    known, wanted = parts(PREFIX), [name.strip() for name in asked.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--format")
    return list(dict.fromkeys(wanted))
