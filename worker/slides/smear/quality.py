"""What each square of a slide looks like, measured at about 1 µm per px.

Sharpness compares the energy with which the stain's density varies over less than 1 µm with that over 2 to 4 µm:
neither the depth of the stain nor the number of cells changes their ratio, and it falls fast out of focus.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.slides.reader import SlideReader
from worker.slides.scale import WorkingPlane
from worker.slides.slide import Rgb
from worker.slides.smear.absorbance import Densities, densities
from worker.slides.smear.blocks import block_map, blocks, read_block
from worker.slides.smear.lattice import Squares

_COVERED_OD = 0.12  # of green, from which a px is more than glass
_RED_CELL_OD = (0.25, 0.45)  # dried plasma lies below, cytoplasm above
_FEWEST_PX = 2000
_MOST_TORN = 2000
"""Pieces given up after which a torn block is given up whole: a slide in tatters is refused when it is counted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """Means over each square, 0 where it was not measured; OD is the optical density of green."""

    measured: NDArray[np.bool_]
    covered: Squares  # share of px with anything on the glass
    between: Squares  # share of px that are covered and are no nuclei
    between_od: Squares  # sum of the OD of those per px of the square
    nuclear: Squares  # share of px in the colour of well stained nuclei
    nuclear_od: Squares  # sum of OD green - OD blue of those per px of the square: how strongly nuclei stain
    pale: Squares  # share of px in the colour of pale chromatin: smudged and bare nuclei, rims of others
    fine: Squares  # variance of the OD over less than 1 µm
    coarse: Squares  # and over 2 to 4 µm
    red_cell_od: float  # OD of one layer of red cells, over the whole slide

    @property
    def sharpness(self) -> Squares:
        """Fine over coarse variance: 0.4 and more in focus, below 0.07 where chromatin cannot be judged."""
        return np.asarray(self.fine / np.maximum(self.coarse, 1e-6), dtype=np.float32)


_MEASURES = ("covered", "between", "between_od", "nuclear", "nuclear_od", "pale", "fine", "coarse")


def measure(reader: SlideReader, plane: WorkingPlane, glass: Rgb, wanted: NDArray[np.bool_]) -> Quality:
    """Measure the blocks that hold a wanted square; squares beside px that cannot be decoded are left unmeasured.

    Raises:
        BadSlideError: of other kinds than `unreadable_region`.
    """
    reduced = block_map(reader.info, plane)
    means = {name: np.zeros(wanted.shape, dtype=np.float32) for name in _MEASURES}
    measured = np.zeros(wanted.shape, dtype=np.bool_)
    histogram = np.zeros(256, dtype=np.int64)
    given_up = 0
    for block in blocks(reduced, wanted):
        rgb, torn = read_block(reader, reduced, block, glass, retried=given_up < _MOST_TORN)
        given_up += len(torn)
        by_name = _measures(densities(rgb, glass), reduced.px_um)
        known = block.away_from(torn)
        for name, values in by_name.items():
            means[name][block.squares] = np.where(known, block.means(values), 0)
        measured[block.squares] = known
        histogram += _histogram(by_name["between_od"][block.inner])
    return Quality(measured=measured, red_cell_od=_red_cell_od(histogram), **means)


def _measures(density: Densities, px_um: float) -> dict[str, NDArray[np.float32]]:
    """Return each measure of each px, (H, W) float32 by name."""
    red, green, blue = cv2.split(density)
    hue = green - blue
    nuclear = (hue > 0.35) & (green > 0.5)
    pale = (hue > 0.12) & (green > 0.25) & (red > 0.35 * green) & (red < 0.85 * green) & ~nuclear
    covered = green > _COVERED_OD
    between = covered & ~nuclear
    near, wide, widest = (cv2.GaussianBlur(green, (0, 0), max(0.3, um / px_um)) for um in (1.0, 2.0, 4.0))
    return {
        "covered": covered.astype(np.float32),
        "between": between.astype(np.float32),
        "between_od": between * green,
        "nuclear": nuclear.astype(np.float32),
        "nuclear_od": nuclear * hue,
        "pale": pale.astype(np.float32),
        "fine": np.square(green - near),
        "coarse": np.square(wide - widest),
    }


def _histogram(between_od: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the numbers of px per hundredth of OD, 0 left out."""
    hundredths = cv2.convertScaleAbs(between_od, alpha=100)
    counts = np.bincount(hundredths.ravel(), minlength=256)
    counts[0] = 0
    return counts


def _red_cell_od(histogram: NDArray[np.int64]) -> float:
    """Return the commonest OD between nuclei, which is that of one layer of red cells where there are any."""
    low, high = _RED_CELL_OD
    if histogram.sum() < _FEWEST_PX:
        return (low + high) / 2
    smooth = np.convolve(histogram, np.ones(5) / 5, "same")[round(100 * low) : round(100 * high) + 1]
    return low + int(smooth.argmax()) / 100
