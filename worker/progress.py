"""Bars on the screen for long work of several parts, and lines where there is no screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from worker.workshop import Tell


@contextmanager
def bars(console: Console) -> Iterator[Tell]:
    """Show a bar for each thing that is told of."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield tell


@contextmanager
def bars_or_lines(console: Console, *, every_s: float = 30.0) -> Iterator[Tell]:
    """Show bars on a terminal; elsewhere, as in a log, print how far it is, in a line every so often."""
    if console.is_terminal:
        with bars(console) as tell:
            yield tell
        return
    last = time.monotonic()

    def print_line(what: str, done: int, total: int) -> None:
        nonlocal last
        if done < total and time.monotonic() - last >= every_s:
            console.print(f"{what} {done}/{total}")
            last = time.monotonic()

    yield print_line
