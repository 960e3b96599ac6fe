"""Readers to measure beside ours, each used the way its documentation shows; none of them is a dependency.

All read the same boxes of level 0 into (H, W, 3) uint8 arrays, with as many threads as asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import local
from typing import Any

import cv2
import numpy as np
import openslide

from worker.geometry import Box

ReadBoxes = Callable[[Sequence[Box]], None]


@dataclass(frozen=True)
class Opened:
    """A slide opened by an alternative."""

    read: Callable[[Box], object]  # returns (H, W, 3) uint8
    close: Callable[[], object]


def _openslide_naive(path: Path) -> Opened:
    slide = openslide.OpenSlide(path)
    return Opened(
        lambda box: np.asarray(slide.read_region((box.x, box.y), 0, (box.width, box.height)).convert("RGB")),
        slide.close,
    )


def _openslide_tuned(path: Path) -> Opened:
    slide = openslide.OpenSlide(path)

    def read(box: Box) -> object:
        rgba = np.asarray(slide.read_region((box.x, box.y), 0, (box.width, box.height)))
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)

    return Opened(read, slide.close)


def _tiffslide(path: Path) -> Opened:
    slide = import_module("tiffslide").TiffSlide(path)
    return Opened(lambda box: slide.read_region((box.x, box.y), 0, (box.width, box.height), as_array=True), slide.close)


def _pyvips(path: Path) -> Opened:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    vips = import_module("pyvips")
    region = vips.Region.new(vips.Image.tiffload(str(path), page=0))

    def read(box: Box) -> object:
        pixels = region.fetch(box.x, box.y, box.width, box.height)
        return np.frombuffer(pixels, dtype=np.uint8).reshape(box.height, box.width, 3)

    return Opened(read, lambda: None)


def _cucim(path: Path) -> Opened:
    slide = import_module("cucim.clara").CuImage(str(path))
    return Opened(
        lambda box: np.asarray(slide.read_region((box.x, box.y), (box.width, box.height), level=0)), slide.close
    )


ALTERNATIVES: dict[str, tuple[Callable[[Path], Opened], str, tuple[str, ...]]] = {
    "openslide-python": (_openslide_naive, "openslide", ("openslide-python",)),
    "openslide tuned": (_openslide_tuned, "openslide", ("openslide-python",)),
    "tiffslide": (_tiffslide, "tiffslide", ("tiffslide",)),
    "pyvips": (_pyvips, "pyvips", ("pyvips",)),
    "cucim (CPU)": (_cucim, "cucim.clara", ("cucim-cu13", "cucim-cu12")),
}
"""Name: how to open a slide with it, its module, and the distributions of which one must be installed."""


def installed(name: str) -> str | None:
    """Return the distribution and version that an alternative comes from, or None where it cannot be imported."""
    _, module, distributions = ALTERNATIVES[name]
    try:
        import_module(module)
    except (ImportError, OSError):  # OSError: a library that it is built on is missing
        return None
    for distribution in distributions:
        with suppress(PackageNotFoundError):
            return f"{distribution} {version(distribution)}"
    return module


@contextmanager
def boxes_reader(open_slide: Callable[[Path], Opened], path: Path, threads: int) -> Iterator[ReadBoxes]:
    """Give a function that reads boxes on `threads` threads, each with a handle of its own."""
    handles: Any = local()

    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:

        def read_one(box: Box) -> None:
            if not hasattr(handles, "slide"):
                handles.slide = open_slide(path)
                stack.callback(handles.slide.close)
            handles.slide.read(box)

        def read(boxes: Sequence[Box]) -> None:
            for _ in pool.map(read_one, boxes):
                pass

        yield read
