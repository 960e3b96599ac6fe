"""`marrowline segment`: finds the nucleated cells of pictures and writes them as label masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from worker.cli_files import expanded, made, outputs, printable, write_png
from worker.cli_options import Device, Json, Mpp
from worker.cli_pictures import conclude, opened, refusal, refusal_line, tracked
from worker.config import WorkerSettings
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.nets.segmenter_cards import CLASSICAL, DEFAULT
from worker.slides.scale import Scale, WorkingPlane, plane_for, resolve
from worker.slides.smear import red_cell_scale

if TYPE_CHECKING:
    from worker.slides.reader import SlideReader
    from worker.slides.slide import SlideInfo

Labels = NDArray[np.int32]
Segment = Callable[[NDArray[np.uint8], float], tuple[Labels, Labels]]

_MOST_PX = 100_000_000
_BLOCK_PX = 4096
_MOST_LABELS = 65_535


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A segmenter, and the µm/px to which it brings a picture."""

    segment: Segment
    mpp_um: float


def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Camera fields, or folders of them.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the masks.")],
    mpp: Mpp = None,
    nuclei: Annotated[bool, typer.Option("--nuclei", help="Masks of the nuclei instead of whole cells.")] = False,
    segmenter: Annotated[
        str, typer.Option(metavar="NAME", help=f"The segmenter's weights; {CLASSICAL}: the one without.")
    ] = DEFAULT,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the nucleated cells of each image.

    Writes DIR/<name>.png, a 16-bit mask of the image's size: 0 background, 1..n cells. A cell and its nucleus have
    one number. What cannot be read gets its reason, and the exit code is 3.
    """
    files = expanded(images)
    pairs = list(zip(files, outputs(files, out, ".png"), strict=True))
    chosen = _chosen(segmenter, device)
    made(out)
    answers = []
    for image, mask in tracked(pairs, "segmenting"):
        answers.append({"file": str(image), **_one(image, mask, chosen, mpp=mpp, nuclei=nuclei)})
        if not as_json:
            typer.echo(printable(_line(answers[-1])))
    conclude(answers, answers, as_json=as_json)


def _chosen(name: str, device: str) -> Chosen:
    if name == CLASSICAL:
        from worker.training.segmentation.baseline import WORK_MPP_UM, classical  # noqa: PLC0415 - no torch for it

        return Chosen(segment=classical, mpp_um=WORK_MPP_UM)
    from worker.cells.learned import segment_image  # noqa: PLC0415 - loads torch
    from worker.nets.segmenters import load_segmenter  # noqa: PLC0415

    loaded = load_segmenter(name, WorkerSettings().models_dir, device)
    return Chosen(segment=lambda rgb, mpp_um: segment_image(rgb, mpp_um, loaded), mpp_um=loaded.card.mpp_um)


def _one(image: Path, mask: Path, chosen: Chosen, *, mpp: float | None, nuclei: bool) -> dict[str, Any]:
    """Segment one image, write its mask and return what the command says of it."""
    try:
        with opened(image) as reader:
            scale = _scale(reader, mpp)
            _refuse_large(plane_for(reader.info, scale, chosen.mpp_um), reader.info)
            rgb = _whole(reader)
        cells, chromatin = chosen.segment(rgb, scale.mpp_um)
        drawn = chromatin if nuclei else cells
        _write(mask, drawn)
    except BadSlideError as refused:
        return {"mask": None, **refusal(refused)}
    return {"mask": str(mask), "error_code": None, "cells": _count(drawn), **_said(scale)}


def _scale(reader: SlideReader, mpp: float | None) -> Scale:
    try:
        return resolve(reader.info, mpp, None, lambda: red_cell_scale.estimate(reader))
    except BadSlideError as refused:  # here there is neither a sidecar nor a site
        raise BadSlideError(refused.code, refused.cause, "Run it again with --mpp.") from refused


def _said(scale: Scale) -> dict[str, Any]:
    source = "declared" if scale.source == "sidecar" else scale.source  # by --mpp: there are no sidecars here
    said: dict[str, Any] = {"mpp_um": scale.mpp_um, "mpp_source": source}
    return {**said, "mpp_error_um": scale.error_um} if scale.source == "estimated" else said


def _refuse_large(plane: WorkingPlane, info: SlideInfo) -> None:
    """Raise BadSlideError when the picture, or what the segmenter makes of it at its own scale, is too much at once."""
    cause = f"it measures {info.width_l0} x {info.height_l0} px, more than one mask holds"
    if info.width_l0 * info.height_l0 <= _MOST_PX:
        if plane.width_work * plane.height_work <= _MOST_PX:
            return
        cause = f"at the segmenter's scale it measures {plane.width_work} x {plane.height_work} px, too many at once"
    raise BadSlideError("too_large", cause, "Read whole slides with marrowline run; their outlines are in SQL.")


def _whole(reader: SlideReader) -> NDArray[np.uint8]:
    """Return all of level 0 as (H, W, 3) uint8 RGB."""
    width, height = reader.info.width_l0, reader.info.height_l0
    out = np.empty((height, width, 3), np.uint8)
    for y, x in product(range(0, height, _BLOCK_PX), range(0, width, _BLOCK_PX)):
        box = Box(x=x, y=y, width=min(_BLOCK_PX, width - x), height=min(_BLOCK_PX, height - y))
        out[box.y : box.y_end, box.x : box.x_end] = reader.region(0, box)
    return out


def _write(path: Path, labels: Labels) -> None:
    if labels.max(initial=0) > _MOST_LABELS:
        raise BadSlideError("too_many_cells", f"more than {_MOST_LABELS} cells", "Cut the picture into fields.")
    write_png(path, labels.astype(np.uint16))


def _count(labels: Labels) -> int:
    """Return how many cells a mask shows: a nucleus of which nothing is left in it leaves its number out."""
    seen = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    for row in labels:
        seen[row] = True
    return int(np.count_nonzero(seen[1:]))


def _line(answer: dict[str, Any]) -> str:
    if answer["error_code"]:
        return refusal_line(answer)
    scale = f"{answer['mpp_um']:.4g} µm/px ({answer['mpp_source']})"
    return f"{Path(answer['file']).name}: {answer['cells']} cells at {scale}"
