"""Altered slides, read through the sandbox: what becomes of each, and whether anything fails in silence.

`make fuzz` runs it in full. An alteration is drawn from its number and the seed, so one of them can be repeated:
`python -m tests.support.fuzz --only 137`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.support.fuzz_slides import Sound, altered, plane_of, sound_files
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.sandbox import spawn
from worker.slides.sandbox.connection import Connection
from worker.slides.sandbox.reader import SandboxedReader, wish_for
from worker.slides.sandbox.spec import SandboxSpec
from worker.slides.slide import RgbImage
from worker.slides.torn import UNREADABLE

SEED = 2026
DEADLINE_S = 10.0
_UNIFORM = 2
_SQUARE_PX = 64
"""A tile is judged by its squares: a part of it that turned white counts."""
_BRIGHT = 180
"""Glass is brighter than this in every channel."""


@dataclass
class Outcome:
    """What became of one altered file."""

    number: int
    name: str
    result: str = "read"  # or the code of the refusal
    bad_tiles: int = 0  # refused one by one
    changed_tiles: int = 0  # other pixels than the sound file's, and no error
    white: list[int] = field(default_factory=list)  # tiles of which a square became uniformly bright, and no error
    flat: list[int] = field(default_factory=list)  # tiles of which one became uniform of another colour
    crashes: int = 0  # deaths and hangs of the slide's process, which the sandbox held
    escaped: str = ""  # an error of the worker's that is not the slide's
    seconds: float = 0.0


def attempt(number: int, sound: Sound, content: bytes, folder: Path) -> Outcome:
    """Read an altered file in full through the sandbox."""
    path = folder / f"altered{Path(sound.name).suffix}"
    path.write_bytes(content)
    outcome = Outcome(number=number, name=sound.name)
    starts = 0

    def start(wish: spawn.Wish) -> spawn.SlideProcess:
        nonlocal starts
        starts += 1
        return spawn.start(wish)

    began = time.monotonic()
    try:
        wish = wish_for(path, 2, SandboxSpec(deadline_s=DEADLINE_S))
        with closing(SandboxedReader(Connection(wish, start), threads=2)) as reader:
            try:
                reader.overview_within(256)
            except BadSlideError as error:
                if error.code != UNREADABLE:
                    raise
                outcome.result = error.code  # its tiles can still be asked for one by one
            _compare(reader, sound, outcome)
    except BadSlideError as error:
        outcome.result = error.code
    except Exception as error:
        outcome.escaped = f"{type(error).__name__}: {error}"
    outcome.crashes = starts - 1 + outcome.result.startswith("reader_")
    outcome.seconds = time.monotonic() - began
    return outcome


def _compare(reader: SandboxedReader, sound: Sound, outcome: Outcome) -> None:
    whole = Box(x=0, y=0, width=reader.info.width_l0, height=reader.info.height_l0)
    shown = [(box, tile) for box, tile in zip(sound.boxes, sound.tiles, strict=True) if box.clipped(whole) == box]
    read = reader.tiles(plane_of(reader), [box for box, _ in shown], (0, 0, 0))
    for number, ((_, before), now) in enumerate(zip(shown, read, strict=True)):
        if isinstance(now, BadSlideError):
            outcome.bad_tiles += 1
        elif not np.array_equal(now, before):
            outcome.changed_tiles += 1
            became = _uniform_squares(now) & ~_uniform_squares(before)
            bright = became & (_squares(now).min(axis=(1, 2, 3)) >= _BRIGHT)
            if became.any():
                (outcome.white if bright.any() else outcome.flat).append(number)


def _squares(rgb: RgbImage) -> RgbImage:
    """Return the tile's whole squares, (N, 64, 64, 3) uint8."""
    rows, columns = rgb.shape[0] // _SQUARE_PX, rgb.shape[1] // _SQUARE_PX
    whole = rgb[: rows * _SQUARE_PX, : columns * _SQUARE_PX].reshape(rows, _SQUARE_PX, columns, _SQUARE_PX, 3)
    return whole.swapaxes(1, 2).reshape(-1, _SQUARE_PX, _SQUARE_PX, 3)


def _uniform_squares(rgb: RgbImage) -> NDArray[np.bool_]:
    """Return which squares show nothing: no channel of theirs spans more than a few steps."""
    squares = _squares(rgb)
    span = squares.max(axis=(1, 2)).astype(int) - squares.min(axis=(1, 2))
    return np.asarray((span <= _UNIFORM).all(axis=1))


def run(sounds: Sequence[Sound], numbers: Sequence[int], *, seed: int, folder: Path, console: Console) -> list[Outcome]:
    """Read the altered files of these numbers, one sound file after the other in turn."""
    outcomes = []
    for number in track(numbers, "reading altered slides", console=console, disable=not console.is_terminal):
        sound = sounds[number % len(sounds)]
        outcomes.append(attempt(number, sound, altered(sound, number, seed), folder))
    return outcomes


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what must not be: errors that left the sandbox, hangs, and tiles that are white in silence."""
    found = []
    for one in outcomes:
        what = [one.escaped] if one.escaped else []
        if one.seconds > 3 * DEADLINE_S:
            what.append(f"took {one.seconds:.0f} s")
        if one.white:
            what.append(f"tiles {one.white} are white")
        found += [f"{one.number} {one.name}: {each}" for each in what]
    return found


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return the counts per file."""
    results = sorted({one.result for one in outcomes}, key=lambda result: (result != "read", result))
    shown = Table(*("file", "altered", *results, "refused tiles", "changed", "flat", "white", "crashes held"))
    for name in (*dict.fromkeys(one.name for one in outcomes), "all"):
        mine = [one for one in outcomes if name in (one.name, "all")]
        codes = Counter(one.result for one in mine)
        tiles = (sum(one.bad_tiles for one in mine), sum(one.changed_tiles for one in mine))
        uniform = (sum(len(one.flat) for one in mine), sum(len(one.white) for one in mine))
        cells = (len(mine), *(codes[result] for result in results), *tiles, *uniform, sum(one.crashes for one in mine))
        shown.add_row(name, *(str(cell) for cell in cells), end_section=name == outcomes[-1].name)
    return shown


def main() -> int:
    """Run it as a command; the exit status tells whether anything failed in silence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=int, help="repeat the alteration of this number")
    wanted = parser.parse_args()
    data = os.environ.get("MARROWLINE_DATA")
    console = Console(width=None if sys.stdout.isatty() else 160)
    real = Path(data) / "wsi" if data else None
    began = time.monotonic()
    numbers = range(wanted.count) if wanted.only is None else [wanted.only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the user of the slides' processes
        sounds = sound_files(folder, real)
        outcomes = run(sounds, numbers, seed=wanted.seed, folder=folder, console=console)
    console.print(table(outcomes))
    silent = failures(outcomes)
    seconds = time.monotonic() - began
    slowest = max(one.seconds for one in outcomes)
    console.print(f"{len(outcomes)} altered slides, seed {wanted.seed}, {seconds:.0f} s, the slowest {slowest:.1f} s")
    console.print("\n".join(silent) or "no error left the sandbox, none hung, no tile is white in silence")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
