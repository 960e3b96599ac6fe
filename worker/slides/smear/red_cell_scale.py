"""Estimates a slide's scale from its red cells where nobody states it, with the error that goes with it.

Price-Jones (Red Blood Cell Diameters, Oxford 1933) measured 7.2 µm in dried films of healthy people, textbooks say
7.5 µm; persons differ by some hundredths, illness and preparation by more. 7.5 µm with a relative error of 6 % is
taken, which no number of cells makes smaller.

None is the answer wherever the picture does not speak for itself: too few single cells, two sizes of blobs, a wide
spread, or blobs that are higher than wide throughout, as in pictures that were squeezed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.geometry import Box
from worker.slides.overview import Overview
from worker.slides.reader import SlideReader, each_readable
from worker.slides.scale import ScaleEstimate
from worker.slides.slide import RgbImage
from worker.slides.smear.absorbance import densities, glass_colour
from worker.slides.smear.red_cells import FINEST_PX, Blob, Field, look_at

Floats: TypeAlias = NDArray[np.float64]

RED_CELL_UM = 7.5
RED_CELL_ERROR = 0.06
"""Of RED_CELL_UM, one standard deviation: between persons and between preparations."""
MIN_RED_CELLS = 15
MAX_SPREAD = 0.13
"""Relative deviation of the diameters beyond which they are no one population: anisocytosis reaches 0.1."""

_ROUND = 1.25
_WITHIN = 0.3
"""Natural logarithm of the diameters' ratio to the middle one that still counts as the same population."""
_LEAST_SHARE = 0.6
"""Of all round blobs' area, the part that belongs to the population."""
_LEAST_STAINED = 0.03
"""Of all that is not glass, the part that the population makes up: red cells abound, specks do not."""
_SQUEEZED = 0.08
_SMALLEST_PX = 1.2 * FINEST_PX
"""A population about a smaller diameter would be cut off at its lower end, and its middle too high."""
_ENOUGH = 1000
"""Blobs after which further fields would only cost time: the error is that of RED_CELL_UM."""
_FIELDS = 8
_FIELD_PX = 2048
_WHOLE_PX = 4096
"""A picture no longer than this is one field."""
_OVERVIEW_PX = 2048
_THIN_OD = (0.02, 0.2)
"""Mean OD green of places where red cells lie side by side: less is glass, more is a heap."""


def estimate(reader: SlideReader) -> ScaleEstimate | None:
    """Return the scale of a slide from up to 8 fields of it, or None where its red cells do not tell.

    Raises:
        BadSlideError: `unreadable_region`.
    """
    return estimate_from(_fields(reader))


def estimate_from(pictures: Iterable[RgbImage]) -> ScaleEstimate | None:
    """Return the µm per px of fields of one slide, each (H, W, 3) uint8 RGB as scanned; None where unsure.

    No more of them are asked for once there are cells enough.
    """
    fields: list[Field] = []
    for picture in pictures:
        fields.append(look_at(picture))
        if sum(len(field.blobs) for field in fields) >= _ENOUGH:
            break
    return judge(fields)


def judge(fields: Sequence[Field]) -> ScaleEstimate | None:
    """Return the µm per px that the fields of one slide agree on; None where they do not."""
    blobs = [blob for field in fields for blob in field.blobs]
    diameters = np.array([blob.diameter_l0 for blob in blobs if blob.elongation <= _ROUND])
    if len(diameters) < MIN_RED_CELLS:
        return None
    middle = _middle_of_population(diameters)
    mine = diameters[_near(diameters, middle)]
    spread = float(1.4826 * np.median(np.abs(mine / middle - 1)))
    area = float((mine**2).sum())
    rivalled = area < _LEAST_SHARE * float((diameters**2).sum())
    minor = np.pi / 4 * area < _LEAST_STAINED * sum(field.stained_px for field in fields)
    if len(mine) < MIN_RED_CELLS or middle < _SMALLEST_PX or spread > MAX_SPREAD:
        return None
    if rivalled or minor or _squeezed(blobs, middle):
        return None
    mpp_um = RED_CELL_UM / middle
    # The deviation of a median is 1.2533 times that of a mean.
    error = float(np.hypot(RED_CELL_ERROR, 1.2533 * spread / np.sqrt(len(mine))))
    return ScaleEstimate(mpp_um=mpp_um, error_um=mpp_um * error, n_red_cells=len(mine))


def _near(diameters: Floats, middle: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(np.log(diameters / middle)) <= _WITHIN)


def _middle_of_population(diameters: Floats) -> float:
    """Return the median of the diameters about which the most blob area lies: specks are many, but small."""
    tried = np.percentile(diameters, np.arange(101))
    weights = [float((diameters[_near(diameters, one)] ** 2).sum()) for one in tried]
    middle = float(tried[int(np.argmax(weights))])
    for _ in range(3):
        middle = float(np.median(diameters[_near(diameters, middle)]))
    return middle


def _squeezed(blobs: Sequence[Blob], middle: float) -> bool:
    """Tell whether blobs of this size, round or not, are higher than wide or wider than high as a rule."""
    upright = [blob.upright for blob in blobs if abs(np.log(blob.diameter_l0 / middle)) <= _WITHIN]
    return abs(float(np.median(upright))) > _SQUEEZED


def _fields(reader: SlideReader) -> Iterator[RgbImage]:
    """Yield fields at full resolution from where a few cells lie apart; a small picture whole."""
    info = reader.info
    if max(info.width_l0, info.height_l0) <= _WHOLE_PX:
        yield reader.region(0, Box(x=0, y=0, width=info.width_l0, height=info.height_l0))
        return
    slide = Box(x=0, y=0, width=info.width_l0, height=info.height_l0)
    places = _thin_places(reader.overview_within(_OVERVIEW_PX))
    boxes = [Box(x=x, y=y, width=_FIELD_PX, height=_FIELD_PX).clipped(slide) for x, y in places]
    yield from each_readable(lambda box: reader.region(0, box), boxes)


def _thin_places(overview: Overview) -> list[tuple[int, int]]:
    """Return the corners, in level-0 px, of fields spread over the places where the film is thin."""
    green = densities(overview.rgb, glass_colour(overview.rgb))[..., 1]
    columns, rows = (-(-side * overview.factor // _FIELD_PX) for side in (green.shape[1], green.shape[0]))
    # Each place's mean: an area resampling to one px per field.
    means = cv2.resize(green, (columns, rows), interpolation=cv2.INTER_AREA)
    low, high = _THIN_OD
    away = np.maximum(low - means, means - high).clip(min=0).ravel()
    thin = np.flatnonzero(away == 0)
    if not len(thin):
        thin = np.sort(np.argsort(away, kind="stable")[:_FIELDS])
    chosen = np.unique(thin[np.linspace(0, len(thin) - 1, num=min(_FIELDS, len(thin))).round().astype(int)])
    step_x = overview.factor * green.shape[1] / columns
    step_y = overview.factor * green.shape[0] / rows
    spread = [place for start in range(3) for place in chosen[start::3]]  # the first few lie all over the slide
    return [(int(place % columns * step_x), int(place // columns * step_y)) for place in spread]
