"""`marrowline areas`: draws where cells would be counted on slides and fields, without counting them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli_files import expanded, made, outputs, printable, write_png
from worker.cli_options import Json, Mpp, Smear
from worker.cli_pictures import conclude, opened, refusal, refusal_line
from worker.errors import BadSlideError
from worker.outputs.overlay import SIDE_PX, picture_of
from worker.outputs.survey import surveyed
from worker.slides.smear.areas import areas as areas_of
from worker.slides.smear.areas import countable_mm2, shares
from worker.slides.smear.survey import Survey, Told


def areas(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Slides or camera fields.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the pictures.")],
    mpp: Mpp = None,
    smear: Smear = False,
    as_json: Json = False,
) -> None:
    """Draw where cells would be counted on each image, and say why not elsewhere.

    Writes DIR/<name>.areas.png for each; what is no smear, or cannot be read, gets its reason, and the exit code is 3.
    """
    files = expanded(images)
    pictures = outputs(files, out, ".areas.png")
    made(out)
    answers = []
    for image, picture in zip(files, pictures, strict=True):
        answers.append({"file": str(image), **_look(image, picture, mpp, is_smear=smear)})
        if not as_json:
            typer.echo(printable(_line(answers[-1])))
    conclude(answers, answers, as_json=as_json)


def _look(image: Path, picture: Path, mpp: float | None, *, is_smear: bool) -> dict[str, Any]:
    """Draw one image and return what the command says of it."""
    try:
        with opened(image) as reader:
            told = Told(declared_mpp_um=mpp, is_smear=is_smear)
            seen = surveyed(reader, told, overview_px=2 * SIDE_PX)
    except BadSlideError as refused:
        return _refused(refused, None)
    write_png(picture, picture_of(seen)[..., ::-1])
    if isinstance(seen.found, BadSlideError):
        return _refused(seen.found, picture)
    return _counted(seen.found, picture)


def _refused(refused: BadSlideError, picture: Path | None) -> dict[str, Any]:
    return {"picture": str(picture) if picture else None, **refusal(refused)}


def _counted(found: Survey, picture: Path) -> dict[str, Any]:
    scale = found.plane.scale
    listed = areas_of(found.readable, found.plane)
    return {
        "picture": str(picture),
        "error_code": None,
        "mpp_um": scale.mpp_um,
        "mpp_source": scale.source,
        "countable_mm2": countable_mm2(found.readable, found.plane),
        "shares": dict(shares(found.readable)),
        "areas": [{name: value for name, value in asdict(area).items() if name != "kind"} for area in listed],
    }


def _line(answer: dict[str, Any]) -> str:
    if answer["error_code"]:
        return refusal_line(answer)
    others = (
        f"{reason} {share:.1%}" for reason, share in answer["shares"].items() if share > 0 and reason != "countable"
    )
    counted = f"{answer['shares']['countable']:.1%} counted ({answer['countable_mm2']:.3g} mm²)"
    return f"{Path(answer['file']).name}: {', '.join([counted, *others])}"
