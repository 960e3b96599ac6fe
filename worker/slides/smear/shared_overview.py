"""Overviews of one slide made from one another where each would otherwise read the same level in full.

A slide without a pyramid takes minutes to be read once. The overview of which most is asked is read first and kept;
one of fewer px is a reduction of it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from PIL import Image

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.overview import Overview, coarsest_level, reduced_box
from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.slide import Rgb, RgbImage


class SharedOverviews:
    """A slide's reader (a `SlideReader`) that reads a level in full only once for its overviews.

    Args:
        reader: the slide; whoever opened it closes it.
        factor: what `overview` will be asked for, 0 where that is not known yet. That overview is let go of when it
            is handed out, as it takes tens of MB of a large slide.
    """

    def __init__(self, reader: SlideReader, *, factor: int = 0) -> None:
        self._reader = reader
        self._factor = factor
        self._kept: Overview | None = None
        self._within: dict[int, Overview] = {}
        self.info = reader.info

    def overview(self, factor: int) -> Overview:
        """As SlideReader.overview."""
        kept, self._kept = self._kept, None
        self._within.clear()
        return kept if kept is not None and factor == self._factor else self._reader.overview(factor)

    def overview_within(self, max_px: int) -> Overview:
        """As SlideReader.overview_within; where it is made from another it may have half as many px a side."""
        if max_px not in self._within:
            self._within[max_px] = self._reduced(max_px) or self._reader.overview_within(max_px)
        return self._within[max_px]

    def region(self, level: int, box_lv: Box) -> RgbImage:
        """As SlideReader.region."""
        return self._reader.region(level, box_lv)

    def tile(self, plane: WorkingPlane, box_work: Box, background: Rgb) -> RgbImage:
        """As SlideReader.tile."""
        return self._reader.tile(plane, box_work, background)

    def tiles(
        self, plane: WorkingPlane, boxes_work: Sequence[Box], background: Rgb
    ) -> Generator[RgbImage | BadSlideError]:
        """As SlideReader.tiles."""
        return self._reader.tiles(plane, boxes_work, background)

    def close(self) -> None:
        """Let go of the overviews."""
        self._kept = None
        self._within.clear()

    def _reduced(self, max_px: int) -> Overview | None:
        """Return the kept overview with at most so many px a side; None where it is of another level, or too small."""
        side = max(self.info.width_l0, self.info.height_l0)
        factor = -(-side // max_px)
        if not self._factor or coarsest_level(self.info, self._factor) != coarsest_level(self.info, factor):
            return None
        by = -(-factor // self._factor)
        if 2 * side < max_px * self._factor * by:
            return None
        kept = self._kept = self._kept or self._reader.overview(self._factor)
        return Overview(
            rgb=np.asarray(Image.fromarray(kept.rgb).reduce(by)),
            factor=kept.factor * by,
            unreadable=tuple(reduced_box(box, by) for box in kept.unreadable),
        )
