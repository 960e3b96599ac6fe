"""What a slide is read by: the same operations whether it is open in this process or in a sandboxed one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Protocol

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.colour import in_srgb
from worker.slides.overview import Overview, overview_at_most, overview_within
from worker.slides.resample import read_tile
from worker.slides.scale import WorkingPlane
from worker.slides.slide import PixelSource, Rgb, RgbImage, SlideInfo
from worker.slides.torn import UNREADABLE

WAITING_TILES = 1
"""Tiles asked for beside those that the threads work on and the next one, so that no thread waits on a busy machine."""


class SlideReader(Protocol):
    """An open slide as the steps of a reading see it; used by one thread, and closed when done.

    Every method raises BadSlideError where pixels cannot be decoded.
    """

    @property
    def info(self) -> SlideInfo:
        """The slide's header."""

    def overview(self, factor: int) -> Overview:
        """Return the whole slide reduced by `factor` level-0 px per px or a little less."""

    def overview_within(self, max_px: int) -> Overview:
        """Return the whole slide with at most `max_px` px on its longer side."""

    def region(self, level: int, box_lv: Box) -> RgbImage:
        """Return a box that lies inside a level, at most 4096 px a side, as (H, W, 3) uint8 RGB."""

    def tile(self, plane: WorkingPlane, box_work: Box, background: Rgb) -> RgbImage:
        """Return a box of the working plane as (H, W, 3) uint8 RGB; outside the slide it is `background`."""

    def tiles(
        self, plane: WorkingPlane, boxes_work: Sequence[Box], background: Rgb
    ) -> Generator[RgbImage | BadSlideError]:
        """Yield each box as `tile` returns it, in order, while the next ones are being read.

        An array is valid until the next is asked for. Where pixels cannot be decoded the `unreadable_region` error
        itself comes in their place. Close the generator before the reader.
        """

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""


def each_readable(read: Callable[[Box], RgbImage], boxes: Iterable[Box]) -> Iterator[RgbImage]:
    """Yield what can be decoded of some boxes, for steps that look at samples.

    Raises:
        BadSlideError: `unreadable_region`, when none of them can be decoded.
    """
    failed: BadSlideError | None = None
    some = False
    for box in boxes:
        try:
            rgb = read(box)
        except BadSlideError as error:
            if error.code != UNREADABLE:
                raise
            failed = error
            continue
        some = True
        yield rgb
    if failed is not None and not some:
        raise failed


class LocalReader:
    """A source read in this process, in sRGB (a `SlideReader`); owns the source and closes it."""

    def __init__(self, source: PixelSource, *, threads: int = 1) -> None:
        self._source, colours = in_srgb(source)
        self._threads = threads
        self.info = replace(source.info, colours=colours)

    def overview(self, factor: int) -> Overview:
        """As SlideReader.overview."""
        return overview_at_most(self._source, factor)

    def overview_within(self, max_px: int) -> Overview:
        """As SlideReader.overview_within."""
        return overview_within(self._source, max_px)

    def region(self, level: int, box_lv: Box) -> RgbImage:
        """As SlideReader.region."""
        return self._source.read_lv(level, box_lv)

    def tile(self, plane: WorkingPlane, box_work: Box, background: Rgb, *, out: RgbImage | None = None) -> RgbImage:
        """As SlideReader.tile; `out` is an array of the box's size to fill and return."""
        return read_tile(self._source, plane, box_work, background, out=out)

    def tiles(
        self, plane: WorkingPlane, boxes_work: Sequence[Box], background: Rgb
    ) -> Generator[RgbImage | BadSlideError]:
        """As SlideReader.tiles; one tile more is ahead than there are threads, and WAITING_TILES besides."""
        reads = (partial(self.tile, plane, box, background) for box in boxes_work)
        yield from self._ahead(reads)

    def tiles_into(
        self, plane: WorkingPlane, boxes_work: Sequence[Box], background: Rgb, place: Callable[[int], RgbImage]
    ) -> Generator[RgbImage | BadSlideError]:
        """As SlideReader.tiles, for a process that does nothing else: a single thread is this one, and none is ahead.

        Args:
            place: gives the array that a tile's pixels go to, by the tile's number; asked in order, and may wait
                until the last tile but `threads + WAITING_TILES + 1` has been used.
        """
        reads = (partial(self.tile, plane, box, background, out=place(no)) for no, box in enumerate(boxes_work))
        yield from self._ahead(reads) if self._threads > 1 else map(_outcome, reads)

    def _ahead(self, reads: Iterable[Callable[[], RgbImage]]) -> Generator[RgbImage | BadSlideError]:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="read-ahead")
        waiting: deque[Future[RgbImage]] = deque()
        try:
            for read in reads:
                waiting.append(pool.submit(read))
                if len(waiting) > self._threads + WAITING_TILES:
                    yield _outcome(waiting.popleft().result)
            while waiting:
                yield _outcome(waiting.popleft().result)
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def _outcome(read: Callable[[], RgbImage]) -> RgbImage | BadSlideError:
    try:
        return read()
    except BadSlideError as error:
        if error.code != UNREADABLE:
            raise
        return error
