"""`marrowline cancel`."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from db import absence, reports, withdrawal
from db.errors import NotFoundError
from db.reports import SlideReport
from db.session import transaction
from scheduler.commands import screen
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab
from scheduler.commands.trouble import one_slide
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of
from worker.errors import BadRequestError
from worker.verdict import decide

_STAND = ("current", "missing")


def cancel(
    *,
    slides: Annotated[list[str] | None, typer.Argument(metavar="SLIDE...", help="Ids, keys, or ends of keys.")] = None,
    patient: Annotated[str | None, typer.Option(metavar="ID", help="All of this patient's slides.")] = None,
    lab: Lab = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the lab is told.")],
    as_json: Json = False,
) -> None:
    """Withdraw slides: they are not read, or no longer counted, and bear on no finding. `retry` takes that back.

    Nothing is deleted. A file that is replaced in the bucket is a new slide, and is read.
    """
    if bool(slides) == (patient is not None):
        raise BadRequestError("name the slides to cancel, or give --patient")
    if not reason.strip():
        raise BadRequestError("--reason is empty: say why, for the lab and for whoever reads the log")
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        chosen = [one_slide(conn, name) for name in slides or ()] if patient is None else _of(conn, patient, lab)
        for slide in sorted(chosen, key=lambda one: one.slide_id):
            withdrawal.withdraw(conn, slide.slide_id, decide, reason.strip())
    if as_json:
        screen.print_json([{"slide_id": slide.slide_id, "key": slide.key, "was": slide.state} for slide in chosen])
        return
    for slide in chosen:
        screen.say(f"{slide.key} is cancelled; it was {slide.state}.")
    screen.hint("`marrowline retry SLIDE` takes it back.")
    screen.close()


def _of(conn: Connection, patient: str, lab: str | None) -> list[SlideReport]:
    """Return the slides of a patient that can be cancelled."""
    found = reports.slides(conn, lab=lab, patient=patient)
    labs = sorted({slide.lab for slide in found})
    if len(labs) > 1:
        raise BadRequestError(f"labs {', '.join(labs)} each have a patient {patient}: give --lab")
    chosen = [slide for slide in found if slide.object_state in _STAND and slide.run_id is not None]
    if not chosen:
        known = f"patient {patient} has no slide that could be cancelled: see `marrowline slides`"
        raise NotFoundError(absence.unknown(conn, lab=lab, patient=patient) or known)
    return chosen
