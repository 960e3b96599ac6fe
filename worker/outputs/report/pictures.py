"""The pictures of a report: a slide's overview with its counted area and cells, and single cells at one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from db.records import CellClass
from worker.cells.stain import StainFit
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.outputs.marks import ABSTAINED, MARKS
from worker.outputs.overlay import areas_picture, with_scale_bar
from worker.outputs.panel import Rgb
from worker.outputs.report.sample import NOT_CALLED, Sampled, SeenRun
from worker.slides.reader import SlideReader
from worker.slides.sandbox.documents import plane_from
from worker.slides.scale import WorkingPlane
from worker.slides.slide import RgbImage
from worker.slides.smear.readable import Readable

CELL_UM = 28.0
"""Side of the square shown of a cell: the largest cells but megakaryocytes fit."""
BAR_UM = 10.0
"""Length of the bar on it."""
OVERVIEW_PX = 960
OTHER_CELLS: Rgb = (71, 85, 105)
"""Of the cells on an overview that no rule asks for."""
_CELL_QUALITY, _OVERVIEW_QUALITY = 90, 84
_RING_UM = 9.0
_LEAST_RING_PX, _MOST_RING_PX = 4, 12
"""Of smaller rings the middle would not show: they become dots."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A JPEG picture with the words that stand for it."""

    jpeg: bytes
    width: int
    height: int
    alt: str


def cell_pictures(
    reader: SlideReader, plan: Mapping[str, Any], cells: Sequence[Sampled], alts: Sequence[str]
) -> list[Picture | None]:
    """Return a picture of each cell, CELL_UM wide with the cell in its middle, None where its pixels are damaged."""
    plane, background = plane_from(dict(plan["plane"])), StainFit.from_json(plan["stain"]).background
    side = round(CELL_UM / plane.mpp_um)
    boxes = [_around(cell, plane, side) for cell in cells]
    with closing(reader.tiles(plane, boxes, background)) as tiles:
        return [
            None if isinstance(tile, BadSlideError) else _picture(tile, alt, _CELL_QUALITY)
            for tile, alt in zip(tiles, alts, strict=True)
        ]


def overview_picture(
    reader: SlideReader, plan: Mapping[str, Any], found: SeenRun, deciding: Sequence[str], alt: str
) -> Picture:
    """Return the slide with the counted area outlined and every counted cell ringed, those of `deciding` in colour."""
    plane = plane_from(dict(plan["plane"]))
    readable = Readable.from_json(plan["readable"])
    overview = reader.overview_within(2 * OVERVIEW_PX)
    drawn, factor = areas_picture(overview, readable, plane, side_px=OVERVIEW_PX)
    mpp_um = factor * plane.scale.mpp_um
    radius = min(_MOST_RING_PX, int(_RING_UM / mpp_um))
    for name, colour in _layers(found, deciding):
        places = np.asarray(found.places_l0[name], np.float32).reshape(-1, 2) / factor
        if radius < _LEAST_RING_PX:
            _dot(drawn, places, colour)
        else:
            _ring(drawn, places, colour, radius)
    with_scale_bar(drawn, mpp_um)
    return _picture(drawn, alt, _OVERVIEW_QUALITY)


def css_colour(name: str) -> str:
    """Return the colour by which a class is shown, as CSS writes it."""
    red, green, blue = _colour(name)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _layers(found: SeenRun, deciding: Sequence[str]) -> list[tuple[str, Rgb]]:
    """Return what is drawn with its colour, the deciding classes last and so on top."""
    others = [(name, OTHER_CELLS) for name in found.places_l0 if name not in deciding and name != NOT_CALLED]
    above = [name for name in (NOT_CALLED, *deciding) if name in found.places_l0]
    return [*others, *((name, _colour(name)) for name in above)]


def _colour(name: str) -> Rgb:
    return ABSTAINED if name == NOT_CALLED else MARKS[CellClass(name)][1]


def _ring(picture: RgbImage, places: NDArray[np.float32], colour: Rgb, radius: int) -> None:
    for x, y in np.rint(places).astype(int).tolist():
        cv2.circle(picture, (x, y), radius, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.circle(picture, (x, y), radius, colour, 2, cv2.LINE_AA)


def _dot(picture: RgbImage, places: NDArray[np.float32], colour: Rgb) -> None:
    columns, rows = places[:, 0].astype(np.intp), places[:, 1].astype(np.intp)
    height, width = picture.shape[:2]
    marked = np.zeros((height, width), np.uint8)
    marked[np.minimum(rows, height - 1), np.minimum(columns, width - 1)] = 1
    picture[cv2.dilate(marked, np.ones((2, 2), np.uint8)) > 0] = colour


def _around(cell: Sampled, plane: WorkingPlane, side: int) -> Box:
    x, y = int(cell.x_l0 / plane.factor), int(cell.y_l0 / plane.factor)
    return Box(x=x - side // 2, y=y - side // 2, width=side, height=side)


def _picture(rgb: RgbImage, alt: str, quality: int) -> Picture:
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Picture(jpeg=jpeg.tobytes(), width=rgb.shape[1], height=rgb.shape[0], alt=alt)
