"""`marrowline evaluate`: trains every system out of fold on real sets and reports how good each is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from worker.cli_options import Device
from worker.errors import BadRequestError
from worker.outputs.panel import NOTICE

if TYPE_CHECKING:
    from worker.training.classification.evaluation.profiles import Profile

_SEED = 20261123


def evaluate(
    *,
    data: Annotated[list[Path], typer.Option(metavar="DIR", help="A data set, or a folder of them; may be repeated.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the report and for what is resumed.")],
    protocol: Annotated[
        str, typer.Option(metavar="NAMES", help="paper (70/30 by picture), grouped (no group divided), or both.")
    ] = "paper,grouped",
    arch: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Systems, or all: hybrid, vgg16, vgg19, resnet50, hybrid-merged, dcnn, svm, colour.",
        ),
    ] = "all",
    task: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Only some of the sets: segpc, taleqani, cnmc, matek, pbc, snam, all_idb.",
        ),
    ] = "",
    profile: Annotated[str, typer.Option(metavar="NAME", help="cpu: an hour on two cores; gpu: full width.")] = "cpu",
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at once, each on its share of the cores.")] = 2,
    imagenet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Start from the ImageNet weights in DIR; needs the gpu profile.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What folds, weights and draws are drawn by.")] = _SEED,
    device: Device = "auto",
) -> None:
    """Train and judge each system on each set in DIR, and write index.html, tables.md, figures.json and plots.

    What is done is kept: the same command goes on where it was stopped.

    It judges systems, not your weights: their card has figures on groups that they never saw.
    """
    from worker.training.classification.evaluation import running, systems, tasks  # noqa: PLC0415 - torch
    from worker.training.classification.evaluation.jobs import Evaluation  # noqa: PLC0415

    kind = _profile(profile, imagenet)
    request = running.Request(
        data=tuple(data),
        whole=Evaluation(out=out, profile=kind, seed=seed, imagenet=imagenet, device=device),
        tasks=tasks.chosen(_names(task)),
        protocols=_protocols(_names(protocol)),
        archs=systems.chosen(_archs(_names(arch))),
        at_once=jobs,
    )
    console = Console(stderr=True)
    with console.status("evaluating"):
        page = running.evaluate(request, console.print)
    typer.echo(f"{page}\n{NOTICE}")


def _profile(name: str, imagenet: Path | None) -> Profile:
    """Return the profile; BadRequestError for another name, and where its networks are not those of ImageNet."""
    from worker.training.classification.evaluation.profiles import PROFILES  # noqa: PLC0415 - torch

    found = PROFILES.get(name)
    if found is None:
        raise BadRequestError(f"no profile is called {name!r}: use {' or '.join(PROFILES)}")
    if imagenet is not None and found.width != 1.0:
        raise BadRequestError("ImageNet weights fit the full width only: use --profile gpu")
    return found


def _protocols(names: Sequence[str]) -> tuple[str, ...]:
    from worker.training.classification.evaluation.outcome import PROTOCOLS  # noqa: PLC0415 - torch

    if not names:
        raise BadRequestError(f"--protocol names none: use {', '.join(PROTOCOLS)}")
    if unknown := sorted(set(names) - set(PROTOCOLS)):
        raise BadRequestError(f"no protocol is called {', '.join(unknown)}: use {', '.join(PROTOCOLS)}")
    return tuple(p for p in PROTOCOLS if p in names)


def _archs(names: Sequence[str]) -> Sequence[str]:
    from worker.training.classification.evaluation.systems import ALL, SYSTEMS  # noqa: PLC0415 - torch

    if not names:
        raise BadRequestError(f"--arch names none: use {', '.join(SYSTEMS)} or {ALL}")
    return names


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))
