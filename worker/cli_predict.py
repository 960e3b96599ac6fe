"""`marrowline predict`: one field image to presence or absence of cancer and its type, with the cells behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli_files import expanded, made, outputs, printable, write_png
from worker.cli_options import Classifier, Device, Json, Mpp, Smear
from worker.cli_pictures import conclude, loaded_model, opened, refusal_line, tracked
from worker.errors import BadSlideError
from worker.slides.smear.survey import Told

if TYPE_CHECKING:
    from worker.nets.registry import Model
    from worker.predict import Prediction
    from worker.slides.reader import SlideReader


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Camera fields, or folders of them.")],
    *,
    mpp: Mpp = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder for the pictures with the cells drawn in.")
    ] = None,
    model: Classifier = None,
    device: Device = "auto",
    smear: Smear = False,
    as_json: Json = False,
) -> None:
    """Tell for each field whether it shows signs of ALL or of multiple myeloma, and by which cells and rules.

    A picture that is no smear or cannot be read gets its reason instead of an answer, and the exit code is then 3.

    --out adds DIR/<name>.cells.png, every cell outlined in its class's colour.

    --json prints an object for one image, a list for several or a folder.
    """
    files = expanded(images)
    pictures = outputs(files, out, ".cells.png") if out else [None] * len(files)
    if out:
        made(out)
    loaded = loaded_model(model, device)
    told = Told(declared_mpp_um=mpp, is_smear=smear)
    answers = []
    pairs = list(zip(files, pictures, strict=True))
    for image, picture in tracked(pairs, "predicting"):
        answers.append({"file": str(image), **_one(image, picture, loaded, told)})
        if not as_json:
            typer.echo(printable(_line(answers[-1])))
    document: Any = answers[0] if len(images) == 1 and images[0].is_file() else answers
    conclude(answers, document, as_json=as_json)


def _one(image: Path, picture: Path | None, model: Model, told: Told) -> dict[str, Any]:
    """Predict one image, draw it where a picture is asked for, and return what the command says of it."""
    from worker.outputs.prediction import document_of, refused_document  # noqa: PLC0415 - reading loads torch

    try:
        with opened(image) as reader:
            found = _found(reader, model, told)
            if picture is not None:
                _draw(reader, found, picture)
    except BadSlideError as refused:
        found, picture = refused, None
    said = refused_document(found) if isinstance(found, BadSlideError) else document_of(found, model.card)
    return {**said, "picture": str(picture) if picture else None}


def _found(reader: SlideReader, model: Model, told: Told) -> Prediction | BadSlideError:
    from worker.predict import predict as predicted  # noqa: PLC0415 - as above

    try:
        return predicted(reader, model, told)
    except BadSlideError as refused:
        return refused


def _draw(reader: SlideReader, found: Prediction | BadSlideError, picture: Path) -> None:
    from worker.outputs.annotated import SIDE_PX, annotated  # noqa: PLC0415 - as above
    from worker.outputs.overlay import refusal as drawn_refusal  # noqa: PLC0415

    overview = reader.overview_within(2 * SIDE_PX)
    drawn = drawn_refusal(overview, found) if isinstance(found, BadSlideError) else annotated(overview, found)
    write_png(picture, drawn[..., ::-1])


def _line(answer: dict[str, Any]) -> str:
    from worker.outputs.prediction import told_probability  # noqa: PLC0415 - as above

    if answer["error_code"]:
        return refusal_line(answer)
    scores = ", ".join(f"{disease} {score:.2f}" for disease, score in answer["fuzzy"]["scores"].items())
    likely = answer["probability"]
    probability = "" if likely is None else f"; probability {told_probability(likely)}"
    weighed = f" (fuzzy {scores}{probability})" if scores else ""
    untold = "not told: " if answer["cancer"] is None else ""  # else the reason begins with the answer
    return f"{Path(answer['file']).name}: {untold}{answer['reason']}{weighed}"
