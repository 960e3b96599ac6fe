"""Draws the cells behind a prediction over its field: outlines in the colours of their classes, legend and finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from db.records import Cell, CellClass
from worker.fuzzy.inputs import SUSPECT
from worker.outputs.marks import ABSTAINED, MARKS
from worker.outputs.panel import Entry, Rgb, framed, lettered
from worker.outputs.prediction import told_probability
from worker.predict import Prediction
from worker.slides.overview import Overview
from worker.slides.slide import RgbImage

SIDE_PX = 1200
"""Longest side of the picture without its legend."""
_LEAST_PX = 900
"""Least height, so that the legend and the reasons find room beside a wide field."""
_PAPER = 252
_CANCER: Rgb = (190, 60, 0)
_NONE: Rgb = (0, 120, 80)
_UNTOLD: Rgb = (105, 110, 120)
_SHORT = {CellClass.IMMATURE_GRANULOCYTE: "immature gran."}
_LEAST_LETTERED_PX = 36
"""Cells that are drawn narrower have no room for letters."""
_NICE_UM = (5, 10, 20, 50, 100, 200)


def annotated(overview: Overview, prediction: Prediction) -> RgbImage:
    """Return a field with its cells outlined beside the finding, (H, W, 3) uint8 RGB."""
    picture, zoom = _fitted(overview)
    drawn = _lettered_cells(_outlined(picture, prediction.field.cells, zoom), prediction.field.cells, zoom)
    mpp_um = prediction.scale.mpp_um / zoom
    length_um = max(length for length in _NICE_UM if length <= max(_NICE_UM[0], drawn.shape[1] * mpp_um / 4))
    lettered(drawn, f"{length_um} micrometres", length_um / mpp_um)
    return framed(
        _tall(drawn),
        title=_title(prediction),
        entries=_legend(prediction.field.cells),
        notes=_notes(prediction),
        colour={True: _CANCER, False: _NONE, None: _UNTOLD}[prediction.cancer],
    )


def _fitted(overview: Overview) -> tuple[RgbImage, float]:
    """Return the field with SIDE_PX on its longer side, and px of it per level-0 px."""
    height, width = overview.rgb.shape[:2]
    by = SIDE_PX / max(height, width)
    size = max(1, round(width * by)), max(1, round(height * by))
    how = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(overview.rgb, size, interpolation=how), np.uint8), by / overview.factor


def _outlined(picture: RgbImage, cells: Sequence[Cell], zoom: float) -> RgbImage:
    """Return the picture with every outline on a white one; those of suspected cells are thicker."""
    drawn = np.ascontiguousarray(picture)
    for cell in cells:
        corners = [_corners(cell, zoom)]
        width = 5 if _is_suspect(cell) else 3
        cv2.polylines(drawn, corners, isClosed=True, color=(255, 255, 255), thickness=width + 3, lineType=cv2.LINE_AA)
        cv2.polylines(drawn, corners, isClosed=True, color=_colour(cell), thickness=width, lineType=cv2.LINE_AA)
    return drawn


def _lettered_cells(picture: RgbImage, cells: Sequence[Cell], zoom: float) -> RgbImage:
    """Return the picture with the letters of its class above each cell."""
    sheet = Image.fromarray(picture)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for cell in cells:
        corners = _corners(cell, zoom)[:, 0]
        if np.ptp(corners[:, 0]) < _LEAST_LETTERED_PX:
            continue
        x = float(np.clip(corners[:, 0].mean(), 24, picture.shape[1] - 24))
        y = float(max(24, corners[:, 1].min() - 4))
        letters = MARKS[CellClass(cell.cell_class)][0] + ("?" if cell.abstained else "")
        pen.text((x, y), letters, fill=_colour(cell), font=font, anchor="mb", stroke_width=3, stroke_fill=(255,) * 3)
    return np.asarray(sheet).copy()


def _corners(cell: Cell, zoom: float) -> NDArray[np.int32]:
    """Return the outline in px of the picture, (N, 1, 2)."""
    return np.rint((np.array(cell.outline_l0, np.float64) + 0.5) * zoom).astype(np.int32).reshape(-1, 1, 2)


def _is_suspect(cell: Cell) -> bool:
    return not cell.abstained and cell.cell_class in SUSPECT.values()


def _colour(cell: Cell) -> Rgb:
    return ABSTAINED if cell.abstained else MARKS[CellClass(cell.cell_class)][1]


def _tall(picture: RgbImage) -> RgbImage:
    missing = max(0, _LEAST_PX - picture.shape[0])
    return np.pad(picture, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)), constant_values=_PAPER)


def _title(prediction: Prediction) -> str:
    if prediction.cancer is None:
        return "Not told"
    if not prediction.cancer:
        return "No sign of ALL or MM"
    return f"Consistent with {prediction.disease or 'ALL or MM'}"


def _legend(cells: Sequence[Cell]) -> tuple[Entry, ...]:
    called = Counter(CellClass(cell.cell_class) for cell in cells if not cell.abstained)
    entries = [
        Entry(
            colour=MARKS[one][1],
            label=f"{MARKS[one][0]}  {_SHORT.get(one, one.replace('_', ' '))} ({called[one]})",
            share=called[one] / len(cells),
            outlined=True,
        )
        for one in MARKS
        if called[one]
    ]
    if abstained := sum(cell.abstained for cell in cells):
        label = f"?  not called ({abstained})"
        entries.append(Entry(colour=ABSTAINED, label=label, share=abstained / len(cells), outlined=True))
    return tuple(entries)


def _notes(prediction: Prediction) -> tuple[str, ...]:
    notes = [f"{prediction.reason[0].upper()}{prediction.reason[1:]}."]
    if prediction.inference is not None:
        scores = ", ".join(f"{disease} {score:.2f}" for disease, score in prediction.inference.scores.items())
        notes.append(f"Fuzzy scores: {scores}")
    if prediction.probability is not None:
        likely = told_probability(prediction.probability)
        notes.append(f"Probability that a threshold share is reached in this field: {likely}")
    notes.append(f"{prediction.scale.mpp_um:.3g} micrometres per pixel ({prediction.scale.source})")
    found = len(prediction.field.cells)
    return (*notes, f"Percentages are of the {found} cells found.") if found > 1 else tuple(notes)
