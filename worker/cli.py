"""Commands that need pixels or torch; `marrowline` finds them by entry point."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from worker.config import use_device
from worker.errors import MarrowlineError
from worker.logs import configure_logs
from worker.queues import QUEUE

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@commands.callback()
def main() -> None:
    """Run the commands of the worker package."""


@commands.command("worker")
def worker(
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda:0, …; auto: the first GPU when there is one.")
    ] = None,
) -> None:
    """Read the slides that the scheduler rings for, one at a time, until told to stop.

    SIGTERM lets the slide go at the end of its batch; another worker, or the next start, goes on from there.
    """
    configure_logs()
    if device is not None:
        use_device(device)
    from worker.tasks import create_app  # noqa: PLC0415 - reads the settings, and loads what reading slides needs

    create_app().worker_main(
        [
            "worker",
            "--pool=prefork",
            "--concurrency=1",
            f"--queues={QUEUE}",
            f"--hostname=worker-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=INFO",
        ]
    )


if __name__ == "__main__":
    try:
        commands()
    except MarrowlineError as error:  # as `marrowline worker` does; the supervisor shows this line
        sys.exit(f"marrowline: {error}")
