"""`marrowline retry` and `marrowline quarantine list/show/release`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text
from sqlalchemy import Connection

from db import pages_again, reports, runs, withdrawal
from db.errors import NotFoundError
from db.reports import SlideReport
from db.session import transaction
from db.tallies import WITHDRAWN
from scheduler.cli import NOTICE
from scheduler.commands import screen
from scheduler.commands.empty import why_empty
from scheduler.commands.screen import Json
from scheduler.commands.tables import Lab, Limit, Offset
from scheduler.embedded import stack as embedded
from scheduler.embedded.resolve import Stack, resolve
from scheduler.live import engine_of
from worker.errors import BadRequestError
from worker.storage import RESULTS_PREFIX, open_store
from worker.verdict import decide

Slide = Annotated[str, typer.Argument(metavar="SLIDE", help="The slide's id, its key, or the end of its key.")]

quarantine = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What could not be read, why, and what to do.",
    epilog=NOTICE,
)


def retry(
    slide: Annotated[
        str | None, typer.Argument(metavar="[SLIDE]", help="The slide's id, its key, or the end of its key.")
    ] = None,
    written: Annotated[
        bool,
        typer.Option("--reports", help="Instead of a slide: write the reports that were given up or are not there."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --reports: write every report; what stays the same is not put again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a slide again, with all its attempts: quarantined, cancelled, or waiting for its next try.

    With --reports, patients' reports are written again instead: those given up, and those deleted from the bucket.
    """
    if (slide is None) != written or (everything and not written):
        raise BadRequestError("name the slide to read again, or give --reports, and --all with it for every report")
    stack = resolve()
    if slide is None:
        _say_written(_write_again(stack, everything=everything), as_json=as_json)
        return
    with engine_of(stack) as engine, transaction(engine) as conn:
        found = one_slide(conn, slide)
        _requeue(conn, found)
    _say_due(stack, [found], as_json=as_json)


@quarantine.command("list")
def list_(lab: Lab = None, limit: Limit = 200, offset: Offset = 0, as_json: Json = False) -> None:
    """Show every slide in quarantine with its cause and its remedy."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = reports.quarantined(conn, lab=lab, limit=limit, offset=offset)
        nothing = why_empty(conn, found, "Nothing is in quarantine.", lab=lab, offset=offset)
    if as_json:
        screen.print_listed(found, nothing)
        return
    for slide in found:
        show_trouble(f"{slide.slide_id}  {slide.key}", slide.error_code, slide.reason, slide.remedy)
    screen.say(nothing or "`marrowline quarantine release ID` reads a slide again.")
    screen.close()


@quarantine.command()
def show(slide: Slide, as_json: Json = False) -> None:
    """Show one slide's trouble, what to do about it, and what was tried."""
    with engine_of(resolve()) as engine, transaction(engine) as conn:
        found = one_slide(conn, slide)
        history = reports.runs(conn, slide_id=found.slide_id)
    if as_json:
        screen.print_json({"slide": found, "runs": history})
        return
    pairs = {
        "slide": f"{found.slide_id}  {found.key}",
        "patient": f"{found.lab}/{found.patient}",
        "state": found.state,
        "code": found.error_code,
        "cause": found.reason,
        "remedy": found.remedy,
        "tries": str(found.attempts or 0),
        "size": f"{found.size_bytes:,} bytes",
        "models": ", ".join(run.model_version for run in history),
    }
    screen.say(screen.facts({name: value or screen.NONE for name, value in pairs.items()}))
    screen.close()


@quarantine.command()
def release(
    slides: Annotated[list[str] | None, typer.Argument(metavar="SLIDE...", help="Ids, keys, or ends of keys.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are in quarantine.")] = False,
    as_json: Json = False,
) -> None:
    """Read slides again that are in quarantine, after their cause is gone."""
    if bool(slides) == everything:
        raise BadRequestError("name the slides to release, or give --all")
    stack = resolve()
    with engine_of(stack) as engine, transaction(engine) as conn:
        chosen = reports.quarantined(conn) if everything else [one_slide(conn, name) for name in slides or ()]
        for slide in chosen:
            if slide.state != "quarantined":
                raise BadRequestError(f"{slide.key} is {slide.state}, not in quarantine; see `marrowline retry`")
            _requeue(conn, slide)
    _say_due(stack, chosen, as_json=as_json)


def show_trouble(name: str, code: str | None, cause: str | None, remedy: str | None) -> None:
    """Print what is wrong with a slide, and what to do, below its name."""
    screen.say(Text(name, style="bold"))
    pairs = {code or screen.NONE: cause or screen.NONE, "to do": remedy or screen.NONE}
    screen.say(Padding(screen.facts(pairs), (0, 0, 1, 2)))


def one_slide(conn: Connection, name: str) -> SlideReport:
    """Return the slide that the user means; raises NotFoundError, or BadRequestError when several could be meant."""
    found = reports.slides(conn, slide_id=int(name)) if name.isdecimal() else reports.slides(conn, key=name)
    if not found:
        ends = f"/{name.lstrip('/')}"
        found = [slide for slide in reports.slides(conn) if slide.key.endswith(ends)]
    current = [slide for slide in found if slide.object_state == "current"] or found
    if not current:
        raise NotFoundError(f"no slide {name!r}: `marrowline slides` shows ids and keys")
    if len(current) > 1:
        listed = ", ".join(f"{slide.slide_id} ({slide.key})" for slide in current[:5])
        raise BadRequestError(f"{name!r} could be any of {listed}: give the id")
    return current[0]


def _write_again(stack: Stack, *, everything: bool) -> list[tuple[str, str]]:
    """Make the reports due that were given up or do not lie where they should, or all; return lab and pseudonym."""
    with engine_of(stack) as engine:
        # Apart: each locks reports in the order in which patients are judged, both together would not.
        with transaction(engine) as conn:
            tried = pages_again.try_again(conn)
        there = set() if everything else {obj.key for obj in open_store(stack.store_settings).list(RESULTS_PREFIX)}
        with transaction(engine) as conn:
            gone = [patient_id for patient_id, key in pages_again.keys(conn).items() if key not in there]
            return sorted({*tried, *pages_again.write_again(conn, gone)})


def _say_written(patients: list[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        screen.print_json([{"lab": lab, "patient": patient} for lab, patient in patients])
        return
    for lab, patient in patients:
        screen.say(Text(f"the report of {lab}/{patient} will be written again"))
    if not patients:
        screen.say("No report was given up, and none is missing from the bucket.")
    screen.close()


def _requeue(conn: Connection, slide: SlideReport) -> None:
    if slide.run_id is None:
        raise NotFoundError(f"slide {slide.slide_id} has no run to retry")
    if slide.error_code == WITHDRAWN:
        withdrawal.restore(conn, slide.slide_id, decide)
    else:
        runs.requeue(conn, slide.run_id, decide)


def _say_due(stack: Stack, slides: list[SlideReport], *, as_json: bool) -> None:
    if as_json:
        screen.print_json([{"slide_id": slide.slide_id, "key": slide.key, "run_id": slide.run_id} for slide in slides])
        return
    for slide in slides:
        screen.say(f"{slide.key} will be read again.")
    if not slides:
        screen.say("Nothing is in quarantine.")
    elif stack.own_postgres and embedded.status(stack).phase != "up":
        screen.say("The stack is down: start it with `marrowline up`.")
    screen.close()
