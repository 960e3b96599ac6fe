"""`marrowline evaluate`: trains every system out of fold on real sets and reports how good each is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker.errors import BadRequestError
from worker.outputs.panel import NOTICE

_SEED = 20261123


def evaluate(
    *,
    data: Annotated[list[Path], typer.Option(metavar="DIR", help="A folder of data sets; may be repeated.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the report and for what is resumed.")],
    protocol: Annotated[
        str, typer.Option(metavar="NAMES", help="paper (70/30 by picture), grouped (no group divided), or both.")
    ] = "paper,grouped",
    arch: Annotated[str, typer.Option(metavar="NAMES", help="Systems by name, with commas between, or all.")] = "all",
    task: Annotated[
        str, typer.Option(metavar="NAMES", help="Data sets by name, with commas between; all by default.")
    ] = "",
    profile: Annotated[str, typer.Option(metavar="NAME", help="cpu: an hour on two cores; gpu: full width.")] = "cpu",
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at once, each on its share of the cores.")] = 2,
    imagenet: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Start from the ImageNet weights in DIR; needs the gpu profile.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What folds, weights and draws are drawn by.")] = _SEED,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda:0, … or auto.")] = "auto",
) -> None:
    """Train and judge the systems on each data set in DIR, and write index.html, tables.md, figures.json and plots.

    What is done is kept: the same command goes on where it was stopped.
    """
    from worker.training.classification.evaluation import profiles, running, systems, tasks  # noqa: PLC0415 - torch
    from worker.training.classification.evaluation.jobs import Evaluation  # noqa: PLC0415
    from worker.training.classification.evaluation.outcome import PROTOCOLS  # noqa: PLC0415

    protocols, archs, kind = _names(protocol), _names(arch), profiles.PROFILES.get(profile)
    if kind is None:
        raise BadRequestError(f"no profile is called {profile!r}: use {' or '.join(profiles.PROFILES)}")
    if not protocols:
        raise BadRequestError(f"--protocol names none: use {', '.join(PROTOCOLS)}")
    if not archs:
        raise BadRequestError(f"--arch names none: use {', '.join(systems.SYSTEMS)} or {systems.ALL}")
    if unknown := sorted(set(protocols) - set(PROTOCOLS)):
        raise BadRequestError(f"no protocol is called {', '.join(unknown)}: use {', '.join(PROTOCOLS)}")
    if imagenet is not None and kind.width != 1.0:
        raise BadRequestError("ImageNet weights fit the full width only: use --profile gpu")
    request = running.Request(
        data=tuple(data),
        whole=Evaluation(out=out, profile=kind, seed=seed, imagenet=imagenet, device=device),
        tasks=tasks.chosen(_names(task)),
        protocols=tuple(p for p in PROTOCOLS if p in protocols),
        archs=systems.chosen(archs),
        at_once=jobs,
    )
    console = Console(stderr=True)
    with console.status("evaluating"):
        page = running.evaluate(request, console.print)
    typer.echo(f"{page}\n{NOTICE}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))
