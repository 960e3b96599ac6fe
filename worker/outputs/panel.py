"""Frames a picture with a legend, notes and the notice that every output carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worker.slides.slide import RgbImage

Rgb: TypeAlias = tuple[int, int, int]
NOTICE = "research use only, not for diagnostic procedures"

_PAPER: Rgb = (252, 252, 252)
_TEXT: Rgb = (40, 44, 52)
_QUIET: Rgb = (105, 110, 120)
_WIDTH, _MARGIN, _LINE, _BANNER = 400, 28, 38, 44
_LEAST_HEIGHT = 460


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the legend."""

    colour: Rgb
    label: str
    share: float  # of the slide, 0 to 1
    outlined: bool = False  # drawn as a line, not as a tint


def framed(picture: RgbImage, *, title: str, entries: Sequence[Entry], notes: Sequence[str], colour: Rgb) -> RgbImage:
    """Return the picture with a panel on its right and the notice below."""
    height, width = picture.shape[:2]
    tall = max(height, _LEAST_HEIGHT)
    sheet = Image.new("RGB", (width + _WIDTH, tall + _BANNER), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, (tall - height) // 2))
    pen = ImageDraw.Draw(sheet)
    left, y = width + _MARGIN, _MARGIN
    pen.text((left, y), title, fill=colour, font=_font(29))
    y += 60
    for entry in entries:
        _draw_entry(pen, entry, left, y)
        y += _LINE
    y += 14 if entries else 0
    for number, note in enumerate(notes):
        for line in _wrapped(note, _WIDTH - 2 * _MARGIN):
            pen.text((left, y), line, fill=_TEXT if number == 0 else _QUIET, font=_font(19))
            y += 27
        y += 12
    pen.rectangle((0, tall, width + _WIDTH, tall + _BANNER), fill=_TEXT)
    middle = ((width + _WIDTH) // 2, tall + _BANNER // 2)
    pen.text(middle, NOTICE.capitalize(), fill=(255, 255, 255), font=_font(20), anchor="mm")
    return np.asarray(sheet)


def lettered(picture: RgbImage, label: str, length_px: float) -> None:
    """Draw a scale bar of a length into the lower left corner of a picture."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image, "RGBA")
    left, bottom = 18, picture.shape[0] - 18
    length = round(length_px)
    width = max(length, round(pen.textlength(label, font=_font(18))))
    pen.rounded_rectangle((left - 10, bottom - 46, left + width + 12, bottom + 8), 6, fill=(255, 255, 255, 215))
    pen.rectangle((left, bottom - 8, left + length - 1, bottom - 2), fill=_TEXT)
    pen.text(
        (left + length / 2 if length >= width else left, bottom - 38),
        label,
        fill=_TEXT,
        font=_font(18),
        anchor="ma" if length >= width else "la",
    )
    picture[:] = np.asarray(image)


def _draw_entry(pen: ImageDraw.ImageDraw, entry: Entry, left: int, y: int) -> None:
    box = (left, y + 2, left + 26, y + 22)
    if entry.outlined:
        pen.rectangle(box, outline=entry.colour, width=3)
    else:
        pen.rectangle(box, fill=entry.colour)
    pen.text((left + 40, y), entry.label, fill=_TEXT, font=_font(20))
    share = f"{entry.share:.1%}" if 0 < entry.share < 0.995 else f"{entry.share:.0%}"
    pen.text((left + _WIDTH - 2 * _MARGIN, y), share, fill=_TEXT, font=_font(20), anchor="ra")


def _wrapped(text: str, width_px: int) -> Iterator[str]:
    """Yield the text in lines no wider than that, cut between words."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and _font(19).getlength(longer) > width_px:
            yield line
            longer = word
        line = longer
    yield line


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
