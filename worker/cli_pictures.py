"""What the commands on pictures share: the model, opening pictures in the sandbox, saying why one was refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.config import WorkerSettings
from worker.errors import BadSlideError, ReaderStuckError
from worker.slides.sandbox.opening import opened_by
from worker.slides.sandbox.reader import SandboxedReader

if TYPE_CHECKING:
    from worker.nets.registry import Model

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


def refusal(refused: BadSlideError) -> dict[str, Any]:
    """Return what a command answers for a picture that it could not use."""
    return {"error_code": refused.code, "reason": refused.cause, "remedy": refused.remedy}


def refusal_line(answer: dict[str, Any]) -> str:
    """Return the same for people."""
    return f"{Path(answer['file']).name}: {answer['error_code']}: {answer['reason']} — {answer['remedy']}"
