"""Draws where cells are counted over a slide's overview, with a legend; or the overview of a slide that is refused."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.errors import BadSlideError
from worker.outputs.panel import Entry, Rgb, framed, lettered
from worker.outputs.survey import Surveyed
from worker.slides.overview import Overview
from worker.slides.scale import WorkingPlane
from worker.slides.slide import RgbImage
from worker.slides.smear.areas import countable_mm2, shares
from worker.slides.smear.countable import Reason
from worker.slides.smear.readable import Readable
from worker.slides.smear.survey import Survey

SIDE_PX = 1200
"""Longest side of the picture without its legend."""

COUNTED: Rgb = (0, 132, 88)
REFUSED: Rgb = (190, 60, 0)
_TINTS: Mapping[Reason, tuple[Rgb, str]] = {
    Reason.GLASS: ((150, 150, 150), "glass"),
    Reason.INK: ((230, 140, 0), "pen"),
    Reason.BUBBLE: ((0, 160, 215), "bubble, edge"),
    Reason.BLURRED: ((240, 220, 0), "out of focus"),
    Reason.CROWDED: ((213, 60, 0), "too thick"),
    Reason.TOO_THIN: ((200, 90, 180), "too thin"),
}
"""Colour-blind people tell these apart (after Okabe and Ito)."""
_STRENGTH: Mapping[Reason, float] = {Reason.GLASS: 0.3}
_USUAL_STRENGTH = 0.5
_NICE_UM = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def picture_of(surveyed: Surveyed) -> RgbImage:
    """Return the overlay of a slide as (H, W, 3) uint8 RGB."""
    if isinstance(surveyed.found, BadSlideError):
        return refusal(surveyed.overview, surveyed.found)
    return areas_overlay(surveyed.overview, surveyed.found)


def areas_overlay(overview: Overview, found: Survey) -> RgbImage:
    """Return the overview with the countable area outlined and every other square tinted by its reason."""
    drawn, factor = areas_picture(overview, found.readable, found.plane, side_px=SIDE_PX)
    scale = found.plane.scale
    with_scale_bar(drawn, factor * scale.mpp_um)
    counted_mm2 = countable_mm2(found.readable, found.plane)
    return framed(
        drawn,
        title="Where cells are counted",
        entries=_legend(shares(found.readable)),
        notes=(
            f"{counted_mm2:.3g} square millimetres",
            f"{scale.mpp_um:.3g} micrometres per pixel ({scale.source})",
        ),
        colour=COUNTED,
    )


def areas_picture(
    overview: Overview, readable: Readable, plane: WorkingPlane, *, side_px: int
) -> tuple[RgbImage, float]:
    """Return the overview with its areas outlined and tinted and nothing beside it, and level-0 px per px of it.

    Its longer side measures `side_px`.
    """
    picture, factor = _fitted(overview, side_px)
    reasons = _reasons_of_px(picture.shape[:2], factor, readable.reasons, plane.factor_64ths)
    return _outlined(_tinted(picture, reasons), reasons), factor


def with_scale_bar(picture: RgbImage, mpp_um: float) -> None:
    """Draw a bar of a round length into a picture of that many µm per px."""
    length_um = _nice_um(mpp_um * picture.shape[1])
    lettered(picture, _words(length_um), length_um / mpp_um)


def refusal(overview: Overview, refused: BadSlideError) -> RgbImage:
    """Return the overview, paled, beside the reason for which nothing is counted on it."""
    picture, _ = _fitted(overview, SIDE_PX)
    paled = np.asarray(255 - (255 - picture.astype(np.float32)) * 0.75, dtype=np.uint8)
    return framed(
        paled, title="Not counted", entries=(), notes=(refused.code, refused.cause, refused.remedy), colour=REFUSED
    )


def _fitted(overview: Overview, side_px: int) -> tuple[RgbImage, float]:
    """Return the overview with `side_px` on its longer side, and level-0 px per px of it."""
    height, width = overview.rgb.shape[:2]
    by = side_px / max(height, width)
    size = (max(1, round(width * by)), max(1, round(height * by)))
    filtered = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(overview.rgb, size, interpolation=filtered), dtype=np.uint8), overview.factor / by


def _reasons_of_px(
    shape: tuple[int, int], factor: float, reasons: NDArray[np.uint8], side_l0: int
) -> NDArray[np.uint8]:
    """Return the reason of the square that holds each px's centre; squares are `side_l0` px wide."""
    rows, columns = (
        np.minimum((np.arange(length) + 0.5) * factor // side_l0, most - 1).astype(np.intp)
        for length, most in zip(shape, reasons.shape, strict=True)
    )
    return reasons[np.ix_(rows, columns)]


def _tinted(picture: RgbImage, reasons: NDArray[np.uint8]) -> RgbImage:
    colours = np.zeros((len(Reason), 3), np.float32)
    strengths = np.zeros((len(Reason), 1), np.float32)
    for reason, (colour, _) in _TINTS.items():
        colours[reason], strengths[reason] = colour, _STRENGTH.get(reason, _USUAL_STRENGTH)
    strength = strengths[reasons]
    return np.asarray(picture * (1 - strength) + colours[reasons] * strength + 0.5, dtype=np.uint8)


def _outlined(picture: RgbImage, reasons: NDArray[np.uint8]) -> RgbImage:
    """Return the picture with a line about all that is counted."""
    counted = np.pad((reasons == Reason.COUNTABLE).astype(np.uint8), 1)
    outlines, _ = cv2.findContours(counted, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE, offset=(-1, -1))
    drawn = np.ascontiguousarray(picture)
    cv2.drawContours(drawn, outlines, -1, (255, 255, 255), 5, cv2.LINE_AA)
    cv2.drawContours(drawn, outlines, -1, COUNTED, 3, cv2.LINE_AA)
    return drawn


def _legend(found: Mapping[str, float]) -> tuple[Entry, ...]:
    counted = Entry(colour=COUNTED, label="counted", share=found["countable"], outlined=True)
    others = (
        Entry(colour=colour, label=label, share=found[reason.name.lower()])
        for reason, (colour, label) in _TINTS.items()
        if found[reason.name.lower()] > 0
    )
    return (counted, *others)


def _nice_um(width_um: float) -> int:
    """Return the longest round length that takes up at most a quarter of the width."""
    fitting = [length for length in _NICE_UM if length <= width_um / 4]
    return fitting[-1] if fitting else _NICE_UM[0]


def _words(length_um: int) -> str:
    """Return a length in words: the font of the pictures has no Greek letters."""
    return f"{length_um} micrometres" if length_um < 1000 else f"{length_um // 1000} mm"
