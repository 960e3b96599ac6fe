"""Panels of a source's best, median and worst field: what is outlined by hand beside what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from worker.training.segmentation.fields import TrueField
from worker.training.segmentation.metrics import Labels
from worker.training.segmentation.scores import FieldScore, SourceScore

Pixels = NDArray[np.uint8]
Rgb = tuple[int, int, int]

NOTICE = "Research use only, not for diagnostic procedures"
TRUTH: Rgb = (0, 120, 80)
FOUND: Rgb = (225, 85, 0)
"""Colour-blind people tell the two apart (after Okabe and Ito), on purple as on pink."""

_PAPER: Rgb = (252, 252, 252)
_TEXT: Rgb = (40, 44, 52)
_WIDE_PX = 460
_TALLEST_PX = 460
_GAP_PX = 10
_HEAD_PX = 62
_CAPTION_PX = 30
_FOOT_PX = 30
_SHIFT = 4
"""Binary digits behind the point in which OpenCV takes the corners of an outline."""
_LARGE_PX = 40
"""Cells that are smaller in the panel get thinner lines."""
_QUALITY = 88


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """One field of a panel."""

    word: str  # best, median or worst
    score: FieldScore
    truth: TrueField = field(repr=False)
    found: Labels = field(repr=False)  # (H, W) labels of cells


def chosen(score: SourceScore) -> dict[str, FieldScore]:
    """Return the best, the median and the worst field by their marks; fewer where there are fewer fields."""
    ranked = sorted(score.fields, key=lambda one: (-one.mark, one.name))
    places = {"best": 0, "worst": len(ranked) - 1, "median": len(ranked) // 2}
    by_place = {place: word for word, place in reversed(places.items())}
    return {by_place[place]: ranked[place] for place in sorted(by_place)}


def panel(score: SourceScore, shown: Sequence[Shown]) -> Pixels:
    """Return (H, W, 3) uint8 RGB: a row per field, the truth on the left, what was found on the right."""
    rows = [_row(one) for one in shown]
    width = max(row.width for row in rows)
    height = _HEAD_PX + sum(row.height for row in rows) + _FOOT_PX
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP_PX, 8), f"{score.source}, {score.segmenter}", fill=_TEXT, font=_font(20))
    pen.text((_GAP_PX, 36), f"left: the truth, {score.known.value} outlined", fill=TRUTH, font=_font(16))
    pen.text((width // 2, 36), "right: cells found", fill=FOUND, font=_font(16))
    top = _HEAD_PX
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    pen.text((width // 2, height - _FOOT_PX // 2), NOTICE, fill=_TEXT, font=_font(14), anchor="mm")
    return np.asarray(sheet)


def write_panel(path: Path, picture: Pixels) -> None:
    """Write a panel as PNG or JPEG, by the name's ending."""
    Image.fromarray(picture).save(path, quality=_QUALITY, optimize=True)


def caption(one: Shown) -> str:
    """Return a field's name and what it was judged by."""
    counts, score = one.score.counts, one.score
    if score.partial is None:
        return f"{one.word}: {score.name}    Dice {score.mark:.3f}    F1 {counts.f1:.3f}"
    dice = "none" if counts.matched_dice is None else f"{counts.matched_dice:.3f}"
    return f"{one.word}: {score.name}    Dice of matched {dice}    {counts.hits} of {counts.truth} matched"


def outlined(rgb: Pixels, labels: Labels, colour: Rgb, scale: float) -> Pixels:
    """Return the picture at another size with a line about each label, drawn where it lies between its pixels."""
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=how), np.uint8)
    lines = [np.rint(((line + 0.5) * scale - 0.5) * 2**_SHIFT).astype(np.int32) for line in _outlines(labels)]
    wide = 2 if _across(labels) * scale >= _LARGE_PX else 1
    cv2.polylines(canvas, lines, True, (255, 255, 255), 2 * wide, cv2.LINE_AA, _SHIFT)
    cv2.polylines(canvas, lines, True, colour, wide, cv2.LINE_AA, _SHIFT)
    return canvas


def _across(labels: Labels) -> float:
    """Return how many pixels the labelled cells are across in the mean; 0 without one."""
    sizes = np.unique_counts(labels[labels > 0]).counts
    return float(np.sqrt(sizes).mean()) if len(sizes) else 0.0


def _outlines(labels: Labels) -> list[NDArray[np.int32]]:
    """Return the corners (n, 1, 2) of every label's outer outlines, in px of the picture."""
    found: list[NDArray[np.int32]] = []
    for label, place in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if place is not None:
            mask = np.ascontiguousarray(labels[place] == label).astype(np.uint8)
            offset = (place[1].start, place[0].start)
            lines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=offset)[0]
            found += [np.asarray(line, np.int32) for line in lines]
    return found


def _row(one: Shown) -> Image.Image:
    height, width = one.truth.rgb.shape[:2]
    scale = min(_WIDE_PX / width, _TALLEST_PX / height)
    pictures = [
        Image.fromarray(outlined(one.truth.rgb, labels, colour, scale))
        for labels, colour in ((one.truth.cells, TRUTH), (one.found, FOUND))
    ]
    row = Image.new("RGB", (2 * _WIDE_PX + 3 * _GAP_PX, pictures[0].height + _CAPTION_PX + _GAP_PX), _PAPER)
    ImageDraw.Draw(row).text((_GAP_PX, 4), caption(one), fill=_TEXT, font=_font(16))
    for number, picture in enumerate(pictures):
        row.paste(picture, (_GAP_PX + number * (_WIDE_PX + _GAP_PX), _CAPTION_PX))
    return row


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
