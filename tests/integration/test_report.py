"""Reports of slides that were read: what is shown of their pixels, and what when those are gone."""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine

from db import runs
from db.cases import Case, case_of
from db.records import Batch, Cell, CellClass, Plan
from db.session import transaction
from tests.support.rows import CLASSES, add, execute, taken
from tests.support.workshops import workshop_on
from worker.cells.stain import fit_stain
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.outputs.report import html, pdf
from worker.outputs.report.gather import gathered
from worker.rules import DEFAULT_RULE
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.sandbox.documents import plane_to_json
from worker.slides.smear.areas import areas
from worker.slides.smear.survey import Told, survey
from worker.verdict import decide
from worker.workshop import Workshop

SIDE_PX = 1024
DRAWN = {CellClass.LYMPHOBLAST: 14, CellClass.PLASMA_CELL: 3, CellClass.LYMPHOCYTE: 8}


@pytest.fixture
def workshop(lab: Engine, tmp_path: Path) -> Workshop:
    """A bucket with one drawn slide of which every cell is stored where it was drawn."""
    made = workshop_on(lab, tmp_path)
    drawn = draw_smear(SmearSpec(width_px=SIDE_PX, height_px=SIDE_PX, seed=5, composition=DRAWN, touching=0.0))
    write_pyramid(tmp_path / "a.tif", drawn.rgb, 0.25)
    made.store.put_file("lab/patient/a.tif", tmp_path / "a.tif")
    obj = made.store.head("lab/patient/a.tif")
    assert obj is not None
    with transaction(lab) as conn:
        run_id = add(conn, obj)
    execute(lab, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
    claim = taken(lab, run_id)
    runs.store_plan(lab, claim, plan_of(tmp_path / "a.tif"))
    cells = [cell(no, one.x_l0, one.y_l0, one.cell_class) for no, one in enumerate(drawn.truth)]
    runs.write_batch(lab, claim, Batch(no=0, cells=tuple(cells)))
    runs.finish(lab, claim, decide)
    return made


def plan_of(path: Path) -> Plan:
    reader = LocalReader(open_slide_file(path))
    found = survey(reader, Told(), 0.25)
    document: dict[str, Any] = {
        "plane": plane_to_json(found.plane),
        "readable": found.readable.to_json(),
        "stain": fit_stain(reader.overview(1).rgb, 0.25).to_json(),
    }
    reader.close()
    return Plan(
        digest="p",
        n_batches=1,
        document=document,
        mpp_um=0.25,
        mpp_source="header",
        sha256=sha256(path.read_bytes()).hexdigest(),
        areas=areas(found.readable, found.plane),
        area_shares={"countable": 1.0},
    )


def cell(no: int, x_l0: float, y_l0: float, cell_class: CellClass) -> Cell:
    surely = 0.5 + no / 100
    probabilities = tuple(surely if name == cell_class else (1 - surely) / 3 for name in CLASSES)
    return Cell(
        cell_no=no,
        x_l0=x_l0,
        y_l0=y_l0,
        cell_class=cell_class.value,
        abstained=False,
        probabilities=probabilities,
        features={},
    )


def case(workshop: Workshop) -> Case:
    with transaction(workshop.engine) as conn:
        return case_of(conn, "patient")


def quietly(_what: str, _done: int, _total: int) -> None:
    """Take progress and say nothing."""


def test_every_cell_shown_lies_in_the_middle_of_its_picture(workshop: Workshop) -> None:
    content = gathered(workshop, case(workshop), quietly)
    shown = [one for group in content.gallery for one in group.cells]
    assert [(group.name, group.shown) for group in content.gallery] == [
        ("Lymphoblasts", "14 of 14"), ("Plasma cells", "3 of 3"), ("Lymphocytes", "6 of 8"),
    ]  # fmt: skip
    for one in shown:
        rgb = np.asarray(Image.open(BytesIO(one.picture.jpeg)), dtype=np.float64)
        assert rgb.shape == (112, 112, 3)
        middle, all_of_it = rgb[48:64, 48:64, 1].mean(), np.median(rgb[..., 1])
        assert middle < all_of_it - 40, one.picture.alt


def test_the_overview_rings_each_cell_in_its_colour_and_outlines_the_area(workshop: Workshop) -> None:
    (slide,) = gathered(workshop, case(workshop), quietly).slides
    assert slide.picture is not None
    rgb = np.asarray(Image.open(BytesIO(slide.picture.jpeg)), dtype=np.int16)
    assert max(rgb.shape) == 960

    def near(colour: tuple[int, int, int]) -> int:
        return int((np.abs(rgb - colour).max(axis=2) < 30).sum())

    assert near((213, 60, 0)) > 14 * 40  # px of a lymphoblast's ring
    assert near((0, 132, 88)) > 900  # of the line about the area


def test_page_and_paper_are_written_whole_under_a_name_that_tells_nothing(workshop: Workshop, tmp_path: Path) -> None:
    (page,) = html.write(workshop, case(workshop), tmp_path, quietly)
    (paper,) = pdf.write(workshop, case(workshop), tmp_path, quietly)
    assert (page.stem, "patient" in page.name, paper.read_bytes()[:5]) == (paper.stem, False, b"%PDF-")
    text = page.read_text(encoding="utf-8")
    assert "Insufficient: too few cells to judge" in text
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == 24
    assert all(Image.open(BytesIO(b64decode(one))).format == "JPEG" for one in pictures)
    assert not list(tmp_path.glob(".*"))


def test_a_slide_that_is_gone_has_its_reason_in_place_of_its_pictures(workshop: Workshop) -> None:
    workshop.store.delete("lab/patient/a.tif")
    content = gathered(workshop, case(workshop), quietly)
    (slide,) = content.slides
    assert (slide.picture, content.gallery) == (None, ())
    assert slide.trouble == "The stored file was replaced or deleted since it was read."
    assert content.headline == "Insufficient: too few cells to judge"
    assert "replaced or deleted" in html.rendered(content)
