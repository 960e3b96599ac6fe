"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from scheduler.commands import screen
from scheduler.waiting import Standing

_LINE_EVERY_S = 5.0


@contextmanager
def reading_bar() -> Iterator[Callable[[Standing], None]]:
    """Yield what is to be told how far the slides are."""
    target = screen.console(stderr=True)
    began = time.monotonic()
    if not target.is_terminal:
        yield _lines(began)
        return
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=target, transient=True) as bar:
        task = bar.add_task("reading", total=1.0, words="waiting for the scheduler")
        yield lambda now: bar.update(task, completed=now.share, words=words(now, time.monotonic() - began))


@contextmanager
def counting_bar(done_word: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield what is to be told what was done last, how many are, and how many there will be."""
    target = screen.console(stderr=True)
    if not target.is_terminal:
        yield lambda name, done, total: target.print(Text(f"{done_word} {done}/{total} {name}"))
        return
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=target, transient=True) as bar:
        task = bar.add_task(done_word, total=None, words="")
        yield lambda name, done, total: bar.update(
            task, completed=done, total=total, words=f"{done_word} {done}/{total} {name}"
        )


def words(now: Standing, elapsed_s: float) -> str:
    """Return how far the slides are, in one line."""
    if now.unseen == now.slides:
        return "waiting for the scheduler to see the slides"
    parts = [f"{now.ended}/{now.slides} slides", f"{now.tiles_read:,}/{now.tiles:,} tiles", f"{now.cells:,} cells"]
    if now.quarantined:
        parts.append(f"{now.quarantined} quarantined")
    if 0.02 < now.share < 1:
        parts.append(f"{screen.duration(elapsed_s * (1 - now.share) / now.share)} left")
    if now.retrying:
        parts.append(f"waiting to try again: {now.retrying[0]}")
    return " · ".join(parts)


def _lines(began: float) -> Callable[[Standing], None]:
    last_text, last_at = "", began - _LINE_EVERY_S

    def tell(now: Standing) -> None:
        nonlocal last_text, last_at
        text, at = words(now, time.monotonic() - began), time.monotonic()
        if text != last_text and (now.ended == now.slides or at - last_at >= _LINE_EVERY_S):
            screen.console(stderr=True).print(Text(text))
            last_text, last_at = text, at

    return tell
