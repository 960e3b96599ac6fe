"""`marrowline run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from db import reports
from db.progress import ObjectProgress
from db.records import RunState
from db.session import transaction
from scheduler.cli import EXIT_FAILED, EXIT_QUARANTINED
from scheduler.commands import case, screen
from scheduler.commands.bar import reading_bar
from scheduler.commands.patient_table import show_patients
from scheduler.commands.screen import Json
from scheduler.commands.trouble import show_trouble
from scheduler.embedded.resolve import resolve
from scheduler.live import engine_of, running
from scheduler.prepare import activate
from scheduler.upload import Case, Upload, plan_uploads, put, replaced, slide_files, stored
from scheduler.waiting import wait_for
from worker.config import WorkerSettings
from worker.errors import BadRequestError
from worker.nets import cards
from worker.storage import ObjectStore, open_store


def run(
    paths: case.Paths,
    *,
    patient: case.Patient,
    lab: case.Lab = case.DEFAULT_LAB,
    specimen: case.SpecimenOption = None,
    mpp: case.Mpp = None,
    stain: case.Stain = None,
    smear: case.Smear = False,
    urgent: case.Urgent = False,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Read with this model from now on; left out: the active one.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let files take the place of others of their name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read one patient's slides on the embedded stack, wait for the finding and print it.

    The stack is started when it is down, and stopped again afterwards; while it is up it is used. Files that were
    read before cost nothing. Ctrl-C stops the waiting, not the reading: the same call goes on with it.
    Exit 3 when some of the slides could not be read.
    """
    files = slide_files(paths)
    if model is not None:
        cards.describe(model, WorkerSettings().models_dir)
    wanted = Case(
        lab=lab, patient=patient, specimen=specimen, stain=stain, is_smear=smear, mpp_um=mpp, is_urgent=urgent
    )
    try:
        found, ended = _finding(files, wanted, model, may_replace=replace)
    except KeyboardInterrupt:
        screen.hint("stopped waiting; the slides are still being read. The same call goes on waiting,")
        screen.hint("`marrowline status` shows how far they are, `marrowline down` stops the reading.")
        raise typer.Exit(EXIT_FAILED) from None
    _show(found, ended, as_json=as_json)
    if any(one.state != RunState.DONE for one in ended):
        raise typer.Exit(EXIT_QUARANTINED)


def _finding(
    files: Sequence[tuple[Path, str]], wanted: Case, model: str | None, *, may_replace: bool
) -> tuple[list[reports.PatientReport], list[ObjectProgress]]:
    """Read the files and return what is found of the patient, and how the reading of each file ended."""
    stack = resolve()
    with running(stack, screen.hint), engine_of(stack) as engine:
        if model is not None:
            activate(engine, model)
        store = open_store(stack.store_settings)
        uploads = plan_uploads(store, files, wanted)
        _refuse_replacing(engine, store, uploads, allowed=may_replace)
        ended = _read(engine, store, uploads, wanted.sidecar())
        with transaction(engine) as conn:
            return reports.patients(conn, lab=wanted.lab, patient=wanted.patient), ended


def _refuse_replacing(engine: Engine, store: ObjectStore, uploads: Sequence[Upload], *, allowed: bool) -> None:
    """Raise BadRequestError where a file would push another out that was read well."""
    if allowed:
        return
    with transaction(engine) as conn:
        bad = {slide.key for slide in reports.quarantined(conn)}
    taken = [key for key in replaced(store, uploads) if key not in bad]
    if taken:
        raise BadRequestError(
            f"{', '.join(taken[:3])}: another file was read under this name; rename the new one to count both, "
            "or give --replace to let it take the place of the old one"
        )


def _read(engine: Engine, store: ObjectStore, uploads: Sequence[Upload], sidecar: bytes) -> list[ObjectProgress]:
    for upload in uploads:
        put(store, upload, sidecar)
    objects = [stored(store, upload) for upload in uploads]
    with reading_bar() as tell:
        return wait_for(engine, objects, tell, store=store)


def _show(found: list[reports.PatientReport], ended: Sequence[ObjectProgress], *, as_json: bool) -> None:
    bad = [one for one in ended if one.state != RunState.DONE]
    if as_json:
        screen.print_json(found)
    else:
        show_patients(found)
    if bad and not as_json:
        screen.say()
        for one in bad:
            show_trouble(f"{one.slide_id}  {one.key}", one.error_code, one.error_cause, one.error_remedy)
    if not as_json:
        screen.close()
