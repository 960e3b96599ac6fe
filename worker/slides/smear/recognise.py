"""Tells before anything is counted whether a slide is a Romanowsky-stained smear; its scale need not be known.

What is told apart, and by what:

- Fluorescence: the field is dark and nothing in it is as bright as glass.
- Haematoxylin and eosin: both dyes have to show. Haematoxylin on nuclei takes about half as much blue as green;
  azure B and eosin Y on the chromatin of a smear take green alone, a quarter as much blue. Eosin on collagen and
  cytoplasm takes green and hardly any red, which nothing does over wide areas of a smear: red cells take blue
  as well, basophilic cytoplasm red.
- An empty slide shows nothing that a dye could have coloured; a label shows only neutral black.

What it does not tell apart: other special stains, and a section stained by Giemsa.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.overview import Overview
from worker.slides.reader import SlideReader, each_readable
from worker.slides.slide import RgbImage
from worker.slides.smear.absorbance import Densities, densities, glass_colour, greatest, least

OVERVIEW_PX = 2048
"""Longest side of the overview that a slide is recognised by."""
OVERRIDE = 'If it is a smear all the same: --smear, or "preparation": "smear" in its sidecar.'

_FIELD_PX = 512
_FIELDS = 9
_WHOLE_PX = 4_000_000
"""A picture below this is looked at as one field."""

_DARK, _BRIGHT = 48, 110  # grey levels: every channel below, every channel above
_STAINED_OD = 0.15  # of green
_MIN_NUCLEAR_PX = 200


@dataclass(frozen=True, kw_only=True)
class Look:
    """What recognition rests on: shares from 0 to 1."""

    dark: float  # of the overview: pixels without light
    bright: float  # of the overview: pixels that let light pass in every channel
    dyed: float  # of the overview: pixels in the colours of a blood stain
    black: float  # of the overview: dark pixels without a hue
    nuclear: float  # of the stained pixels of the fields: as deep and as green-absorbing as nuclei
    haematoxylin: float  # of those: pixels that take more than 0.42 times as much blue as green
    eosin: float  # of the stained pixels of the fields: pixels that take green and hardly any red


def refuse_other_than_smear(look: Look) -> None:
    """Raise BadSlideError when a look shows something else than a smear.

    Its code is `not_a_smear_fluorescence`, `not_a_smear_histology`, `label_only` or `empty_slide`.
    """
    if look.dark > 0.5 and look.bright < 0.01:
        cause = f"{look.dark:.0%} of it is dark and nothing as bright as glass: it looks like fluorescence"
        raise BadSlideError("not_a_smear_fluorescence", cause, f"Upload a bright-field scan. {OVERRIDE}")
    if look.dyed < 2e-5:
        if look.black > 0.005:
            cause = f"{look.black:.1%} of it is black print and none of it is stained: it looks like a label"
            raise BadSlideError("label_only", cause, f"Upload the scan of the smear, not of its label. {OVERRIDE}")
        cause = f"{look.dyed:.3%} of it is stained: it shows empty glass"
        raise BadSlideError("empty_slide", cause, f"Check which slide was scanned, and where. {OVERRIDE}")
    if look.nuclear > 0.005 and look.haematoxylin > 0.85 and look.eosin > 0.08:
        cause = (
            f"{look.haematoxylin:.0%} of its nuclei absorb blue as haematoxylin does and {look.eosin:.0%} of the stain"
            " is eosin alone: it looks like a histological section"
        )
        raise BadSlideError("not_a_smear_histology", cause, f"Upload a smear or an aspirate. {OVERRIDE}")


def look_at(reader: SlideReader) -> Look:
    """Look at a slide as a whole and at up to nine fields of it.

    Raises:
        BadSlideError: `unreadable_region`.
    """
    overview = reader.overview_within(OVERVIEW_PX)
    glass = glass_colour(overview.rgb)
    density = densities(overview.rgb, glass)
    dyed = _dyed(density)
    fields = [densities(field, glass) for field in _fields(reader, overview, dyed)]
    nuclear, haematoxylin, eosin = _histology(fields)
    darkest, brightest = least(overview.rgb), greatest(overview.rgb)
    return Look(
        dark=float((brightest < _DARK).mean()),
        bright=float((darkest > _BRIGHT).mean()),
        dyed=float(dyed.mean()),
        black=float(_black(density).mean()),
        nuclear=nuclear,
        haematoxylin=haematoxylin,
        eosin=eosin,
    )


def _dyed(density: Densities) -> NDArray[np.bool_]:
    """Return the pixels in the colours of a blood stain; grey dust, shadows and most pens are none."""
    red, green, blue = density[..., 0], density[..., 1], density[..., 2]
    hue = greatest(density) - least(density)
    pen = (green < 0.7 * red) | (blue > 1.6 * green + 0.1) | ((green > 1.2) & (red < 0.25 * green))
    return np.asarray((green > _STAINED_OD) & (hue > 0.3 * greatest(density)) & ~pen)


def _black(density: Densities) -> NDArray[np.bool_]:
    deepest = greatest(density)
    return np.asarray((least(density) > 0.7) & (deepest - least(density) < 0.3 * deepest))


def _fields(reader: SlideReader, overview: Overview, dyed: NDArray[np.bool_]) -> Iterator[RgbImage]:
    """Yield a small picture whole, or level-0 fields about stained places that are spread over a large one."""
    info = reader.info
    whole = Box(x=0, y=0, width=info.width_l0, height=info.height_l0)
    if whole.width * whole.height < _WHOLE_PX and max(whole.width, whole.height) <= 4096:
        yield _softened(reader.region(0, whole))
        return
    rows, columns = np.nonzero(dyed)
    chosen = np.unique(np.linspace(0, len(rows) - 1, num=min(_FIELDS, len(rows))).round().astype(int))
    centres = [(int(columns[index]) * overview.factor, int(rows[index]) * overview.factor) for index in chosen]
    half = _FIELD_PX // 2
    boxes = [Box(x=x - half, y=y - half, width=_FIELD_PX, height=_FIELD_PX).clipped(whole) for x, y in centres]
    yield from map(_softened, each_readable(lambda box: reader.region(0, box), boxes))


def _softened(rgb: RgbImage) -> RgbImage:
    """Return a field of some 512 px a side, without the noise of single pixels."""
    by = max(1, min(rgb.shape[:2]) // _FIELD_PX)
    if by > 1:
        rgb = np.asarray(cv2.resize(rgb, (rgb.shape[1] // by, rgb.shape[0] // by), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.0), dtype=np.uint8)


def _histology(fields: Sequence[Densities]) -> tuple[float, float, float]:
    """Return the shares of nuclear, haematoxylin and eosin colours in fields, as `Look` has them."""
    pixels = np.concatenate([field.reshape(-1, 3) for field in fields]) if fields else np.zeros((1, 3), np.float32)
    red, green, blue = pixels.T
    stained = np.count_nonzero(green > _STAINED_OD)
    nuclei = (green > 0.6) & (green - blue > 0.3)
    if np.count_nonzero(nuclei) < _MIN_NUCLEAR_PX:
        return 0.0, 0.0, 0.0
    eosin = (green > _STAINED_OD) & (green - blue > 0.12) & (red < 0.45 * green)
    return (
        float(np.count_nonzero(nuclei) / stained),
        float(np.mean(blue[nuclei] > 0.42 * green[nuclei])),
        float(np.count_nonzero(eosin) / stained),
    )
