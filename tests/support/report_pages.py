"""Report pages for tests: a case made by hand, with drawn pictures in place of a slide's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from db.cases import Case
from tests.support.cases import cell
from worker.outputs.report import finding
from worker.outputs.report.content import Content
from worker.outputs.report.page import Looked, content_of
from worker.outputs.report.pictures import Picture
from worker.outputs.report.sample import NOT_CALLED, seen


def report_page(of: Case) -> Content:
    """Return the report of a case of which each slide shows twenty cells of each of five classes."""
    looked = []
    for no, slide in enumerate(of.read, start=1):
        names = [name for name in ("lymphoblast", "plasma_cell", "neutrophil", "smudge") for _ in range(20)]
        cells = [cell(i, name, run_id=no, surely=0.99 - i / 200) for i, name in enumerate(names)]
        cells += [cell(200 + i, "lymphoblast", run_id=no, abstained=True, surely=0.4) for i in range(4)]
        found = seen(cells, {}, otherwise=8)
        pictures = {one: _picture(112, f"{name} of slide {no}") for name, kept in found.sample.items() for one in kept}
        overview = _picture(960, f"Slide {no} from afar")
        looked.append(Looked(slide=slide, name=f"Slide {no}", cells=found, overview=overview, pictures=pictures))
    names = [*finding.deciding(of), NOT_CALLED, "neutrophil", "smudge"]
    chosen = {name: [one for run in looked for one in run.cells.sample.get(name, [])] for name in names}
    return content_of(of, finding.deciding(of), looked, chosen)


def page_without_pictures(of: Case, *, named: int = 0) -> Content:
    """Return the report of two slides without pictures; on each a person has named so many cells."""
    counts = [("lymphoblast", 30), ("neutrophil", 10)], [("lymphoblast", 12), ("neutrophil", 28)]
    looked = []
    for no, (slide, parts) in enumerate(zip(of.read, counts, strict=True), start=1):
        names = [name for name, number in parts for _ in range(number)]
        cells = [cell(i, name, run_id=no) for i, name in enumerate(names)]
        cells[:named] = [replace(one, corrected_class=one.cell_class) for one in cells[:named]]
        looked.append(Looked(slide=slide, name=f"Slide {no}", cells=seen(cells, {}, otherwise=3)))
    return content_of(of, finding.deciding(of), looked, {})


def _picture(side: int, alt: str) -> Picture:
    rgb = np.full((side, side, 3), 225, np.uint8)
    cv2.circle(rgb, (side // 2, side // 2), side // 4, (150, 60, 110), -1, cv2.LINE_AA)
    return Picture(jpeg=cv2.imencode(".jpg", rgb)[1].tobytes(), width=side, height=side, alt=alt)
