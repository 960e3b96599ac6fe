"""`marrowline classify`: pictures of single cells to a table of calls."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from worker.cli_files import expanded, made, printable
from worker.cli_options import Classifier, Device, Json, Mpp
from worker.cli_pictures import QUARANTINED, loaded_model, opened, refusal, refusal_line, tracked
from worker.errors import BadRequestError, BadSlideError
from worker.geometry import Box
from worker.outputs.files import whole
from worker.outputs.panel import NOTICE
from worker.slides.scale import resolve

if TYPE_CHECKING:
    from worker.nets.registry import Model

_MOST_PX = 4096
"""A picture of one cell is no wider or higher."""


def classify(
    images: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Pictures of one cell each, or folders.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table, CSV; an older one is replaced.")],
    mpp: Mpp = None,
    model: Classifier = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Call the cell in each picture: file, class, probability, abstained, and the probability of every class.

    A cell is cropped by its physical size, so the scale has to be known. What cannot be read is left out of the
    table and gets its reason, and the exit code is 3.
    """
    files = expanded(images)
    _refuse_replacing(out, files)
    made(out.parent)
    loaded = loaded_model(model, device)
    crops: dict[Path, NDArray[np.uint8]] = {}
    refused: dict[Path, BadSlideError] = {}
    for image in tracked(files, "reading"):
        try:
            crops[image] = _crop(image, mpp, loaded)
        except BadSlideError as error:
            refused[image] = error
    rows = _called(crops, loaded)
    with whole(out) as file:
        file.write(_table(rows, loaded.card.classes))
    _say(rows, refused, as_json=as_json)
    if refused:
        raise typer.Exit(QUARANTINED)


def _crop(image: Path, mpp: float | None, model: Model) -> NDArray[np.uint8]:
    from worker.single_cells import crop_of  # noqa: PLC0415 - loads torch

    with opened(image) as reader:
        width, height = reader.info.width_l0, reader.info.height_l0
        if max(width, height) > _MOST_PX:
            cause = f"it measures {width} x {height} px, more than a picture of one cell"
            raise BadSlideError("too_large", cause, "Use marrowline predict for fields, marrowline run for slides.")
        if (reader.info.mpp_um or mpp) is None:  # one cell shows no red cells to tell it by
            cause = "its header states no usable scale, and none was declared"
            raise BadSlideError("scale_unknown", cause, "Run it again with --mpp.")
        scale = resolve(reader.info, mpp, None)
        rgb = reader.region(0, Box(x=0, y=0, width=width, height=height))
    return crop_of(rgb, scale.mpp_um, model)


def _called(crops: Mapping[Path, NDArray[np.uint8]], model: Model) -> list[dict[str, Any]]:
    """Return one row per crop."""
    from worker.cells.classify import classify as call  # noqa: PLC0415 - loads torch
    from worker.single_cells import measured  # noqa: PLC0415 - loads torch

    size, classes = model.card.crop_px, model.card.classes
    stacked = np.stack(list(crops.values())) if crops else np.empty((0, size, size, 3), np.uint8)
    calls = call(stacked, model, measured(stacked, model))
    return [
        {
            "file": str(image),
            "class": classes[int(calls.index[row])],
            "probability": round(float(calls.probabilities[row].max()), 6),
            "abstained": bool(calls.abstained[row]),
            **{f"p_{name}": round(float(p), 6) for name, p in zip(classes, calls.probabilities[row], strict=True)},
        }
        for row, image in enumerate(crops)
    ]


def _table(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    text = io.StringIO()
    columns = ["file", "class", "probability", "abstained", *(f"p_{name}" for name in classes)]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "abstained": str(row["abstained"]).lower()} for row in rows)
    return printable(text.getvalue())


def _refuse_replacing(out: Path, images: Sequence[Path]) -> None:
    if out.is_dir() or any(out.exists() and out.samefile(image) for image in images):
        raise BadRequestError(f"{out} would replace a folder or one of the pictures: choose another file with --out")


def _say(rows: Sequence[Mapping[str, Any]], refused: Mapping[Path, BadSlideError], *, as_json: bool) -> None:
    failed = [{"file": str(image), **refusal(error)} for image, error in refused.items()]
    if as_json:
        called = [{**row, "error_code": None} for row in rows]
        typer.echo(printable(json.dumps([*called, *failed], ensure_ascii=False, indent=1)))
        return
    for answer in failed:
        typer.echo(printable(refusal_line(answer)))
    abstained = sum(row["abstained"] for row in rows)
    typer.echo(f"{len(rows)} cells called, {abstained} of them abstained, {len(failed)} pictures left out")
    typer.echo(NOTICE)
