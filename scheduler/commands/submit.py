"""`marrowline submit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from scheduler.commands import case, screen
from scheduler.commands.screen import Json
from scheduler.upload import Case, Upload, placed_files, plan_placed, plan_uploads, put, replaced, slide_files
from worker.config import StoreSettings
from worker.errors import BadRequestError
from worker.storage import ObjectStore, open_store

_PATIENT = "Whose slides: a pseudonym, stored as given; left out: the folders say it."


def submit(
    paths: case.Paths,
    *,
    to: Annotated[str, typer.Option(metavar="URI", help="A folder, or s3://bucket/prefix.")],
    patient: Annotated[str | None, typer.Option(metavar="ID", help=_PATIENT)] = None,
    lab: Annotated[str | None, typer.Option(metavar="LAB", help="The laboratory that they come from.")] = None,
    specimen: case.SpecimenOption = None,
    mpp: case.Mpp = None,
    stain: case.Stain = None,
    smear: case.Smear = False,
    urgent: case.Urgent = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let files take the place of others of their name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upload slides with their sidecars; a cut-off call goes on where it stopped.

    With --patient, PATHs are that patient's files or folders; without, they are folders laid out as lab/patient/slide.
    S3 endpoint and keys are those of MARROWLINE_S3_ENDPOINT, MARROWLINE_S3_ACCESS_KEY and MARROWLINE_S3_SECRET_KEY.
    """
    store = open_store(StoreSettings(bucket=to))
    wanted = Case(
        lab=lab or (case.DEFAULT_LAB if patient else None),
        patient=patient,
        specimen=specimen,
        stain=stain,
        is_smear=smear,
        mpp_um=mpp,
        is_urgent=urgent,
    )
    if patient is None:
        uploads = plan_placed(store, placed_files(paths), wanted)
    else:
        uploads = plan_uploads(store, slide_files(paths), wanted)
    taken = [] if replace else replaced(store, uploads)
    if taken:
        raise BadRequestError(f"{', '.join(taken[:3])}: another file is there already; rename it, or give --replace")
    answer = _stored(store, uploads, wanted.sidecar())
    if as_json:
        screen.print_json(answer)
        return
    for one in answer:
        screen.say(f"{'stored' if one['stored'] else 'was there'}  {one['key']}")
    screen.close()


def _stored(store: ObjectStore, uploads: Sequence[Upload], sidecar: bytes) -> list[dict[str, Any]]:
    """Upload the files one after the other, and return what became of each."""
    columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
    total = sum(upload.size for upload in uploads)
    answer = []
    with Progress(*columns, TimeRemainingColumn(), console=screen.console(stderr=True), transient=True) as bar:
        task = bar.add_task("uploading", total=total)
        for upload in uploads:
            stored = put(store, upload, sidecar, progress=lambda n: bar.advance(task, n))
            answer.append({"file": str(upload.path), "key": upload.key, "stored": stored})
    return answer
