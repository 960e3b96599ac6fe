"""How fast slides are read: our reader beside the decoder's own speed and other readers, in one run.

Every reader reads the same block of pixels in the same round, in an order that turns from round to round; a new
block is drawn for each round. Figures are medians over the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import simplejpeg

from worker.bench.readers import ALTERNATIVES, ReadBoxes, boxes_reader, installed
from worker.bench.report import Measured, machine, measured
from worker.bench.slides import Progress, SlideSpec, bench_slide
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.files.tiled_jpeg import TiledJpegSource
from worker.slides.reader import LocalReader, SlideReader
from worker.slides.sandbox.reader import open_sandboxed
from worker.slides.scale import Scale, plane_for
from worker.slides.slide import WHITE
from worker.slides.tiling import batches, plan_tiles

_TILE_PX = 1024
HALO_PX = 128
"""Of the tiles that the pipeline reads."""
_SEED = 2026
_MPP_UM = 0.25
_RUN = 8
_IN_PROCESS = "ours without the sandbox"


@dataclass(frozen=True, kw_only=True)
class ReadSpec:
    """What is measured."""

    width_px: int = 40_000
    height_px: int = 30_000
    native_px: tuple[int, ...] = (256, 512)
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 9
    block_px: int = 4096  # side of what is read in a round


QUICK = ReadSpec(width_px=8192, height_px=8192, rounds=2)


@dataclass(frozen=True, kw_only=True)
class _Case:
    spec: SlideSpec
    threads: int
    halo_px: int
    block_px: int

    @property
    def what(self) -> str:
        kind = f"{_TILE_PX} px tiles with a halo of {self.halo_px} px" if self.halo_px else f"{_TILE_PX} px tiles"
        size = f"{self.spec.width_px} x {self.spec.height_px} px SVS, native tiles of {self.spec.native_px} px"
        return f"read {kind}: {size}, {self.threads} thread{'s' * (self.threads > 1)}"


def bench_read(folder: Path, spec: ReadSpec, progress: Progress) -> list[Measured]:
    """Measure every native tile size and number of threads, without and then with the pipeline's halo."""
    paths = {native_px: bench_slide(folder, _slide(spec, native_px), progress) for native_px in spec.native_px}
    host, notes = machine(), _notes()
    cases = [
        _Case(spec=_slide(spec, native_px), threads=threads, halo_px=halo_px, block_px=spec.block_px)
        for halo_px, native_px, threads in product((0, HALO_PX), spec.native_px, spec.threads)
    ]
    results = []
    for number, case in enumerate(cases):
        progress("measuring", number, len(cases))
        results.append(measured(case.what, _rates(case, paths[case.spec.native_px], spec.rounds), host, notes))
    progress("measuring", len(cases), len(cases))
    return results


def _slide(spec: ReadSpec, native_px: int) -> SlideSpec:
    return SlideSpec(width_px=spec.width_px, height_px=spec.height_px, native_px=native_px)


def _notes() -> dict[str, str]:
    return {name: f"{name}: {installed(name) or 'not installed'}" for name in ALTERNATIVES}


def _rates(case: _Case, path: Path, rounds: int) -> dict[str, list[float]]:
    """Return MPix/s of each round by reader; px of halos are not counted."""
    rates: dict[str, list[float]] = {name: [] for name in ("ours", "limit", *ALTERNATIVES)}
    rng = np.random.default_rng(_SEED)
    with ExitStack() as stack:
        readers = {name: stack.enter_context(opened(path, case.threads)) for name, opened in _openers().items()}
        decoder = stack.enter_context(closing(_Decoder(path, case.threads)))
        for number in range(-1, rounds):  # the first round warms caches and threads up
            block, boxes = _drawn(case, rng)
            streams = decoder.streams_of(block)
            actions = {"limit": partial(decoder.decode, streams)}
            actions |= {name: partial(read, boxes) for name, read in readers.items()}
            names = list(actions)
            for name in (*names[number % len(names) :], *names[: number % len(names)]):
                begun = time.perf_counter()
                actions[name]()
                taken_s = time.perf_counter() - begun
                if number >= 0:
                    rates.setdefault(name, []).append(case.block_px**2 / 1e6 / taken_s)
    return rates


def _drawn(case: _Case, rng: np.random.Generator) -> tuple[Box, list[Box]]:
    """Return a block on the grid of tiles with its halo, and the boxes that it is read in."""
    x = int(rng.integers(0, (case.spec.width_px - case.block_px) // _TILE_PX + 1)) * _TILE_PX
    y = int(rng.integers(0, (case.spec.height_px - case.block_px) // _TILE_PX + 1)) * _TILE_PX
    plane = Box(x=0, y=0, width=case.spec.width_px, height=case.spec.height_px)
    block = Box(x=x, y=y, width=case.block_px, height=case.block_px)
    tiles = plan_tiles(case.block_px, case.block_px, core_px=_TILE_PX, halo_px=case.halo_px, readable=_Everywhere())
    boxes = [
        replace(tile.read_work, x=tile.read_work.x + x, y=tile.read_work.y + y).clipped(plane)
        for batch in batches(tiles, len(tiles), _SEED)
        for tile in batch
    ]
    return block.grown(case.halo_px).clipped(plane), boxes


class _Everywhere:
    def any_in(self, box_work: Box) -> bool:
        """Tell that everything is read."""
        return bool(box_work.width)


class _Decoder:
    """The limit: the native tiles of a block decoded from memory into arrays of their own, and nothing else."""

    def __init__(self, path: Path, threads: int) -> None:
        source = open_slide_file(path)
        if not isinstance(source, TiledJpegSource):
            raise TypeError("the slide is not read by its tiles")
        self._source = source
        self._file = path.open("rb")
        self._pool = ThreadPoolExecutor(threads)

    def streams_of(self, block: Box) -> list[bytes]:
        """Return the streams of the tiles that meet a block."""
        grid = self._source.levels[0]
        rows, columns = grid.tiles_in(block)
        streams = []
        for row, column in product(rows, columns):
            number = row * grid.columns + column
            self._file.seek(int(grid.offsets[number]))
            streams.append(grid.frame.complete(self._file.read(int(grid.counts[number]))))
        return streams

    def decode(self, streams: Sequence[bytes]) -> None:
        """Decode them, shared out among the threads in runs."""
        runs = [streams[start : start + _RUN] for start in range(0, len(streams), _RUN)]
        for _ in self._pool.map(_decode_run, runs):
            pass

    def close(self) -> None:
        """Close the slide."""
        self._pool.shutdown()
        self._file.close()
        self._source.close()


def _decode_run(streams: Sequence[bytes]) -> None:
    for stream in streams:
        simplejpeg.decode_jpeg(stream, "RGB")


def _openers() -> dict[str, Callable[[Path, int], AbstractContextManager[ReadBoxes]]]:
    found = {name: partial(boxes_reader, how) for name, (how, *_) in ALTERNATIVES.items() if installed(name)}
    return {"ours": _sandboxed, _IN_PROCESS: _in_process, **found}


@contextmanager
def _sandboxed(path: Path, threads: int) -> Iterator[ReadBoxes]:
    with closing(open_sandboxed(path, threads=threads)) as reader:
        yield partial(_read_tiles, reader)


@contextmanager
def _in_process(path: Path, threads: int) -> Iterator[ReadBoxes]:
    with closing(LocalReader(open_slide_file(path), threads=threads)) as reader:
        yield partial(_read_tiles, reader)


def _read_tiles(reader: SlideReader, boxes: Sequence[Box]) -> None:
    """Read boxes of level 0 as the pipeline does."""
    plane = plane_for(reader.info, Scale(mpp_um=_MPP_UM, source="header"), _MPP_UM)
    for tile in reader.tiles(plane, boxes, WHITE):
        if isinstance(tile, BadSlideError):
            raise tile
