"""`marrowline train`: makes weights, with the cards that say what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from worker.cli_options import Device
from worker.errors import BadRequestError
from worker.nets.card_files import NAME, Files
from worker.nets.cards import NO_STAIN_NORM, STAIN_NORMS
from worker.nets.segmenter_cards import CLASSICAL
from worker.outputs.panel import NOTICE
from worker.progress import bars_or_lines

if TYPE_CHECKING:
    from worker.training.classification.begin import Begin
    from worker.training.classification.recipe import Recipe

_HUB = "cache"
"""Stands for torch's own folder of downloaded weights where one is asked for."""
_Recipe = TypeVar("_Recipe")
_Data = Annotated[list[Path], typer.Option(metavar="DIR", help="A data set, or a folder of them; may be repeated.")]
_Out = Annotated[Path, typer.Option(metavar="FILE", help="The weight file to write, NAME.safetensors.")]
_RecipeFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="JSON that changes the recipe: peak_lr, batch, … (a wrong key lists all)."),
]
_Seed = Annotated[int | None, typer.Option(min=0, help="What weights and training pictures are drawn by.")]
_Init = Annotated[Path | None, typer.Option(metavar="FILE", help="Weights to begin with instead of random ones.")]
_Inits = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Weights to begin with; twice, a vgg16 and a vgg19, for the hybrids."),
]
_ImageNet = Annotated[
    str | None,
    typer.Option(metavar="DIR", help=f"Begin with the ImageNet weights in DIR; {_HUB!r}: in torch's own cache."),
]

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


@train.command("segmenter", epilog=NOTICE)
def segmenter(
    *,
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the annotated sets.")],
    out: _Out,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="SET", help="A set to train without; may be repeated.")
    ] = None,
    recipe: _RecipeFile = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of 200 steps; each is validated and kept.")] = None,
    seed: _Seed = None,
    init: _Init = None,
    device: Device = "auto",
) -> None:
    """Train the segmenter on the sets below DIR that it knows, and on drawn smears.

    Writes the weights with two cards, NAME.json for the product and NAME.md for people.

    NAME.training keeps the state and the figures of each round. The same command goes on there.
    """
    _check_name(out, taken=(CLASSICAL,))
    from worker.training.segmentation.fit import Training, known_sets, train_segmenter  # noqa: PLC0415 - loads torch
    from worker.training.segmentation.loop import Recipe  # noqa: PLC0415 - loads torch

    if unknown := sorted(set(leave_out or ()) - set(known_sets())):
        raise BadRequestError(f"no set is called {', '.join(unknown)}: known are {', '.join(known_sets())}")
    training = Training(
        data=data,
        out=out,
        work=out.with_suffix(".training"),
        leave_out=tuple(leave_out or ()),
        device=device,
        initial=init,
        recipe=_recipe(Recipe, recipe, rounds=rounds, seed=seed),
    )
    console = Console(stderr=True)
    with console.status("training"):
        files = train_segmenter(training, console.print)
    _say_written(files)


@train.command("classifier", epilog=NOTICE)
def classifier(
    *,
    arch: Annotated[str, typer.Option(metavar="NAME", help="hybrid, hybrid-merged, vgg16, vgg19, resnet50 or dcnn.")],
    data: _Data,
    out: _Out,
    width: Annotated[
        float,
        typer.Option(min=0.01, max=2, help="Channels as a share of those published; 0.25 trains ten times as fast."),
    ] = 1.0,
    drawn: Annotated[bool, typer.Option(help="Mix drawn cells in: only they show every class.")] = True,
    recipe: _RecipeFile = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most; each is validated and kept.")] = None,
    seed: _Seed = None,
    init: _Inits = None,
    imagenet: _ImageNet = None,
    device: Device = "auto",
    turns: Annotated[
        int, typer.Option(min=1, max=8, help="Turned copies of a cell whose calls are averaged: surer, and slower.")
    ] = 1,
    stain_norm: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help=f"Bring colours to a reference stain, in training and use; for fields: {', '.join(STAIN_NORMS)}.",
        ),
    ] = NO_STAIN_NORM,
    measures: Annotated[
        bool, typer.Option(help="Weigh what is measured of a cell beside its picture; not with --stain-norm.")
    ] = True,
    note: Annotated[str, typer.Option(help="A sentence for the card, after its limits.")] = "",
) -> None:
    """Train a classifier of cells on the sets in DIR, calibrate it and judge it on groups that it never saw.

    Writes the weights with two cards, NAME.json for the product and NAME.md for people.

    NAME.training keeps the cut crops, the state and log.csv, the figures of each epoch. The same command goes on there.
    """
    _check_name(out)
    if stain_norm not in STAIN_NORMS:
        raise BadRequestError(f"no stain normalisation is called {stain_norm!r}: use one of {', '.join(STAIN_NORMS)}")
    from worker.training.classification.fit import Training, train_classifier  # noqa: PLC0415 - loads torch

    training = Training(
        data=tuple(data),
        out=out,
        work=out.with_suffix(".training"),
        device=device,
        drawn=drawn,
        begin=_begin(init, imagenet),
        recipe=_classifier_recipe(recipe, arch, width, from_imagenet=bool(imagenet), epochs=epochs, seed=seed),
        turns=turns,
        stain_norm=stain_norm,
        measures=measures,
        note=note,
    )
    console = Console(stderr=True)
    with bars_or_lines(console) as tell:
        files = train_classifier(training, console.print, tell)
    _say_written(files)


@train.command("card", epilog=NOTICE)
def card(
    weights: Annotated[Path, typer.Argument(metavar="FILE", help="The weights, NAME.safetensors, NAME.json beside.")],
    *,
    evaluation: Annotated[Path, typer.Option(metavar="DIR", help="What `marrowline evaluate --out DIR` wrote.")],
) -> None:
    """State an evaluation's figures under both protocols on the card of finished weights, which do not change."""
    _check_name(weights)
    from worker.training.classification.protocols import state_protocols  # noqa: PLC0415 - loads torch

    state_protocols(weights, evaluation)
    typer.echo(f"{weights.with_suffix('.md')}: now states both protocols\n{NOTICE}")


def _begin(init: Sequence[Path] | None, imagenet: str | None) -> Begin:
    """Return what a classifier begins with: given weights, those of ImageNet, or random ones."""
    from worker.nets.imagenet import hub_cache  # noqa: PLC0415 - loads torch
    from worker.training.classification.begin import Begin  # noqa: PLC0415 - loads torch

    known = hub_cache() if imagenet == _HUB else Path(imagenet) if imagenet else None
    return Begin(files=tuple(init or ()), imagenet=known)


def _classifier_recipe(file: Path | None, arch: str, width: float, *, from_imagenet: bool, **given: Any) -> Recipe:
    """Return the recipe of a network; one that begins with ImageNet's weights sees colours as those did."""
    from worker.nets.architectures import NETWORKS, channels_of  # noqa: PLC0415 - loads torch
    from worker.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD  # noqa: PLC0415 - loads torch
    from worker.training.classification.recipe import Recipe  # noqa: PLC0415 - loads torch

    if arch not in NETWORKS:
        raise BadRequestError(f"no network is called {arch!r}: use one of {', '.join(NETWORKS)}")
    norm = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD} if from_imagenet else {}
    return _recipe(Recipe, file, arch=arch, channels=channels_of(arch, width), **given, **norm)


def _say_written(files: Files[Any]) -> None:
    typer.echo(f"{files.weights}: {files.weights.stat().st_size} bytes, SHA-256 {files.card.weights_sha256}\n{NOTICE}")


def _check_name(out: Path, taken: tuple[str, ...] = ()) -> None:
    """Raise BadRequestError unless the weights may be called so, which else would be found after the training."""
    if out.suffix != ".safetensors":
        raise BadRequestError(f"{out}: a weight file is named NAME.safetensors")
    if not NAME.fullmatch(out.stem):
        raise BadRequestError(f"{out}: {out.stem!r} is no name for weights: use letters a-z, digits, '.', '_' and '-'")
    if out.stem in taken:
        raise BadRequestError(f"{out}: {out.stem!r} is the segmenter without weights")


def _recipe(kind: type[_Recipe], file: Path | None, **given: Any) -> _Recipe:
    """Return the recipe with what a file and the command line change of it; BadRequestError for what it has not."""
    changes: dict[str, Any] = {}
    if file is not None:
        try:
            changes = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(changes, dict):
                raise BadRequestError(f"{file} is not a recipe: it is no JSON object")
            known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # a dataclass
            if unknown := sorted(set(changes) - known):
                raise BadRequestError(
                    f"{file}: a recipe has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"
                )
        except (OSError, ValueError, TypeError) as error:
            raise BadRequestError(f"{file} is not a recipe: {error}") from error
    changes |= {key: value for key, value in given.items() if value is not None}
    try:
        return TypeAdapter(kind).validate_python(changes)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in error.errors())
        raise BadRequestError(f"{file or 'the recipe'}: {faults}") from error
