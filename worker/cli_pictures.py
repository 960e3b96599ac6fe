"""What the commands on pictures share: the model, opening pictures in the sandbox, saying why one was refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from worker.cli_files import printable
from worker.config import WorkerSettings
from worker.errors import BadSlideError, ReaderStuckError
from worker.outputs.panel import NOTICE
from worker.slides.sandbox.opening import opened_by
from worker.slides.sandbox.reader import SandboxedReader

if TYPE_CHECKING:
    from worker.nets.registry import Model

T = TypeVar("T")
QUARANTINED = 3
"""Exit code of a command that finished, but not for every picture."""


def loaded_model(name: str | None, device: str) -> Model:
    """Return the classifier of that name, else the one that the settings name. Raises ModelError."""
    from worker.nets.registry import load  # noqa: PLC0415 - loads torch

    settings = WorkerSettings()
    return load(name or settings.model, settings.models_dir, device)


@contextmanager
def opened(image: Path) -> Iterator[SandboxedReader]:
    """Open a picture as the worker's settings say.

    Raises:
        BadSlideError: as the reader does, and `reader_stuck` where it gave no answer in time: nobody tries again here.
    """
    try:
        with closing(opened_by(WorkerSettings(), image)) as reader:
            yield reader
    except ReaderStuckError as stuck:
        remedy = "Try again on a quieter machine, or raise MARROWLINE_READ_DEADLINE_S."
        raise BadSlideError("reader_stuck", str(stuck), remedy) from stuck


def tracked(pictures: Sequence[T], doing: str) -> Iterable[T]:
    """Yield them, with a bar on stderr where somebody looks on and there is more than one."""
    shown = Console(stderr=True)
    return track(pictures, doing, console=shown, disable=len(pictures) < 2 or not shown.is_terminal)


def conclude(answers: Sequence[Mapping[str, Any]], document: Any, *, as_json: bool) -> None:
    """Print the document, or for people the notice; raises Exit when a picture was refused."""
    typer.echo(printable(json.dumps(document, ensure_ascii=False, indent=1)) if as_json else NOTICE)
    if any(answer["error_code"] for answer in answers):
        raise typer.Exit(QUARANTINED)


def refusal(refused: BadSlideError) -> dict[str, Any]:
    """Return what a command answers for a picture that it could not use."""
    return {"error_code": refused.code, "reason": refused.cause, "remedy": refused.remedy}


def refusal_line(answer: Mapping[str, Any]) -> str:
    """Return the same for people."""
    return f"{Path(answer['file']).name}: {answer['error_code']}: {answer['reason']} — {answer['remedy']}"
