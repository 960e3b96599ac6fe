"""`marrowline train`: makes weights, with the cards that say what they are."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from worker.errors import BadRequestError
from worker.nets.card_files import NAME
from worker.nets.segmenter_cards import CLASSICAL
from worker.outputs.panel import NOTICE

if TYPE_CHECKING:
    from worker.training.segmentation.loop import Recipe

train = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Train networks; a training that was stopped goes on where it was.",
    epilog=NOTICE,
)


@train.callback()
def main() -> None:
    """Train one kind of network."""


@train.command("segmenter")
def segmenter(
    *,
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the annotated sets.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The weight file to write, NAME.safetensors.")],
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="SET", help="A set to train without; may be repeated.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON that changes the recipe: rounds, peak_lr, shares, …")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of 200 steps; each is validated and kept.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="What weights and training pictures are drawn by.")] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to begin with instead of random ones.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda:0, … or auto.")] = "auto",
) -> None:
    """Train the segmenter on the sets below DIR that it knows, and on drawn smears.

    Writes the weights, NAME.json and NAME.md. The state and the figures of each round are kept in NAME.training, and
    stay there: remove that folder when nothing is to go on from it.
    """
    _check_name(out)
    from worker.training.segmentation.fit import Training, known_sets, train_segmenter  # noqa: PLC0415 - loads torch

    if unknown := sorted(set(leave_out or ()) - set(known_sets())):
        raise BadRequestError(f"no set is called {', '.join(unknown)}: known are {', '.join(known_sets())}")
    training = Training(
        data=data,
        out=out,
        work=out.with_suffix(".training"),
        leave_out=tuple(leave_out or ()),
        device=device,
        initial=init,
        recipe=_recipe(recipe, rounds=rounds, seed=seed),
    )
    console = Console(stderr=True)
    with console.status("training"):
        files = train_segmenter(training, console.print)
    typer.echo(f"{files.weights}: {files.weights.stat().st_size} bytes, SHA-256 {files.card.weights_sha256}\n{NOTICE}")


def _check_name(out: Path) -> None:
    """Raise BadRequestError unless the weights may be called so, which else would be found after the training."""
    if out.suffix != ".safetensors":
        raise BadRequestError(f"{out}: a weight file is named NAME.safetensors")
    if not NAME.fullmatch(out.stem):
        raise BadRequestError(f"{out}: {out.stem!r} is no segmenter name: use letters a-z, digits, '.', '_' and '-'")
    if out.stem == CLASSICAL:
        raise BadRequestError(f"{out}: {CLASSICAL!r} is the segmenter without weights")


def _recipe(file: Path | None, **given: int | None) -> Recipe:
    """Return the recipe with what a file and the command line change of it; BadRequestError for what it has not."""
    from worker.training.segmentation.loop import Recipe  # noqa: PLC0415 - loads torch

    changes: dict[str, Any] = {}
    if file is not None:
        try:
            changes = json.loads(file.read_text(encoding="utf-8"))
            known = {entry.name for entry in fields(Recipe)}
            if unknown := sorted(set(changes) - known):
                raise BadRequestError(
                    f"{file}: a recipe has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"
                )
        except (OSError, ValueError, TypeError) as error:
            raise BadRequestError(f"{file} is not a recipe: {error}") from error
    changes |= {key: value for key, value in given.items() if value is not None}
    try:
        return TypeAdapter(Recipe).validate_python(changes)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in error.errors())
        raise BadRequestError(f"{file or 'the recipe'}: {faults}") from error
