"""`marrowline bench`: speed and memory, each beside its limit and its alternatives, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker.bench import report
from worker.bench.report import Measured
from worker.config import StoreSettings
from worker.nets.segmenter_cards import DEFAULT
from worker.progress import bars

bench = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Measure this machine: ours beside the limit and the alternatives, in one run.",
)

_Dir = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="Keeps the slides that are made; else below the cache.")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_Quick = Annotated[bool, typer.Option("--quick", help="Small slides and few rounds: shows that it works.")]


@bench.callback()
def main() -> None:
    """Run one of the benchmarks."""


@bench.command("read")
def read(
    folder: _Dir = None,
    as_json: _Json = False,
    quick: _Quick = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of which the median is taken.")] = None,
) -> None:
    """Reading speed of tiled-JPEG slides, at one and two threads.

    The limit is the JPEG decoder on data in memory; ratios are medians of the rounds' own ratios.
    """
    from worker.bench.read import QUICK, ReadSpec, bench_read  # noqa: PLC0415 - loads the decoders

    spec = QUICK if quick else ReadSpec()
    if rounds is not None:
        spec = replace(spec, rounds=rounds)
    with bars(Console(stderr=True)) as progress:
        results = bench_read(_folder(folder), spec, progress)
    _show(results, json=as_json)


@bench.command("memory")
def memory(folder: _Dir = None, as_json: _Json = False, quick: _Quick = False) -> None:
    """Peak memory of reading a small and a large slide whole."""
    from worker.bench.memory import QUICK_SIDES_PX, SIDES_PX, bench_memory  # noqa: PLC0415 - loads the decoders

    with bars(Console(stderr=True)) as progress:
        results = bench_memory(_folder(folder), QUICK_SIDES_PX if quick else SIDES_PX, progress)
    _show(results, json=as_json)


@bench.command("segment")
def segment(
    segmenter: Annotated[str, typer.Option(metavar="NAME", help="The segmenter's weights.")] = DEFAULT,
    as_json: _Json = False,
    quick: _Quick = False,
) -> None:
    """Tiles a second of the segmenter, its time in network and decoding, and its share of the line's time."""
    from worker.bench.segment import QUICK_CROPS_PX, QUICK_ROUNDS, SegmentSpec, bench_segment  # noqa: PLC0415 - torch

    spec = SegmentSpec(segmenter=segmenter)
    if quick:
        spec = replace(spec, rounds=QUICK_ROUNDS, crops_px=QUICK_CROPS_PX)
    with bars(Console(stderr=True)) as progress:
        results = bench_segment(spec, progress)
    _show(results, json=as_json)


def _show(results: Sequence[Measured], *, json: bool) -> None:
    if json:
        typer.echo(report.as_json(results))
        return
    for result in results:
        Console().print(report.as_table(result))


def _folder(given: Path | None) -> Path:
    return given if given is not None else StoreSettings().cache_dir / "bench"
