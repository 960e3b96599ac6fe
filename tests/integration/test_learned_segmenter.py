"""The shipped segmenter in the line: what it counts, and that it counts the same however a slide is cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from db.records import CellClass, Plan
from worker.cells.learned import segment_image
from worker.config import DEFAULT_MODEL
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.nets.registry import Model, load
from worker.nets.segmenter_cards import DEFAULT, find, names
from worker.nets.segmenters import load_segmenter
from worker.pipeline import read_slide
from worker.planning import ReadingSpec, plan_slide
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader, SlideReader
from worker.slides.smear.survey import Told
from worker.training.segmentation.clumps import clump_counts

OPEN = "segnet-open-2026-11"
SMEAR = ReadingSpec(told=Told(is_smear=True))
CELLS = {CellClass.NEUTROPHIL: 50, CellClass.LYMPHOBLAST: 50, CellClass.PLASMA_CELL: 30, CellClass.MONOCYTE: 20}
Seen = dict[tuple[float, float], tuple[float, float]]


@pytest.fixture(scope="module")
def model() -> Model:
    return load(DEFAULT_MODEL, None, "cpu")


@pytest.fixture(scope="module")
def smear() -> DrawnSmear:
    spec = SmearSpec(width_px=1700, height_px=1500, mpp_um=0.25, seed=11, composition=CELLS, touching=0.3, smudges=4)
    return draw_smear(spec)


def _opened(rgb: np.ndarray, folder: Path) -> LocalReader:
    path = folder / "drawn.tif"
    write_pyramid(path, rgb, 0.25)
    return LocalReader(open_slide_file(path))


@pytest.fixture(scope="module")
def slide(smear: DrawnSmear, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlideReader]:
    with closing(_opened(smear.rgb, tmp_path_factory.mktemp("slides"))) as reader:
        yield reader


def read(reader: SlideReader, model: Model, spec: ReadingSpec) -> tuple[Plan, Seen]:
    plan = plan_slide(reader, model, spec, sha256="0" * 64)
    cells = [cell for batch in read_slide(reader, plan, model) for cell in batch.cells]
    areas = ((c.features["nucleus_area_um2"], c.features["cell_area_um2"]) for c in cells)
    seen = dict(zip(((c.x_l0, c.y_l0) for c in cells), areas, strict=True))
    assert len(seen) == len(cells), "a cell was counted twice"
    return plan, seen


@pytest.fixture(scope="module")
def reference(slide: SlideReader, model: Model) -> Seen:
    return read(slide, model, SMEAR)[1]


def test_the_plan_of_a_run_names_the_segmenter(slide: SlideReader, model: Model) -> None:
    named = plan_slide(slide, model, SMEAR, sha256="0" * 64).document["segmenter"]
    assert named == {"name": DEFAULT, "weights_sha256": find(DEFAULT).card.weights_sha256}


def test_the_drawn_cells_are_counted_and_nothing_else(reference: Seen, smear: DrawnSmear) -> None:
    """Two in a hundred of the truth; platelets, smudge cells and deposit are in the picture as well."""
    assert len(reference) == pytest.approx(len(smear.truth), rel=0.02)


@pytest.mark.parametrize(("core_px", "origin"), [(512, (0, 0)), (256, (64, 128)), (1024, (192, 320))])
def test_cells_do_not_depend_on_tile_size_or_lattice_shift(
    slide: SlideReader, model: Model, reference: Seen, core_px: int, origin: tuple[int, int]
) -> None:
    assert read(slide, model, replace(SMEAR, core_px=core_px, origin_px=origin))[1] == reference


def test_a_shift_off_the_lattice_changes_counts_by_less_than_one_in_two_hundred(
    smear: DrawnSmear, model: Model, reference: Seen, tmp_path: Path
) -> None:
    shifted = np.pad(smear.rgb, ((29, 0), (17, 0), (0, 0)), mode="edge")
    with closing(_opened(shifted, tmp_path)) as reader:
        counted = len(read(reader, model, SMEAR)[1])
    assert abs(counted - len(reference)) <= 0.005 * len(reference)


def test_touching_cells_are_told_apart() -> None:
    """Clumps of two to five cells; the count over all of them is within five in a hundred."""
    sizes = {2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}
    composition = dict.fromkeys(CELLS, 26)
    drawn = draw_smear(
        SmearSpec(
            width_px=1600,
            height_px=1600,
            seed=77,
            composition=composition,
            touching=1.0,
            clump_sizes=sizes,
            smudges=2,
        )
    )
    found, _ = segment_image(drawn.rgb, 0.25, load_segmenter(DEFAULT, None, "cpu"))
    counts = clump_counts(drawn.cells.astype(np.int32), found)
    assert counts.clumps > 20
    assert abs(counts.error) <= 0.05


@pytest.mark.parametrize("name", [DEFAULT, OPEN])
def test_shipped_weights_are_small_and_say_what_they_are(name: str) -> None:
    files = find(name)
    assert files.weights.stat().st_size < 3_000_000
    assert "not for diagnostic procedures" in files.card.limits
    assert files.card.figures
    assert files.weights.with_suffix(".md").is_file()


def test_one_of_the_shipped_segmenters_is_free_of_the_non_commercial_set() -> None:
    assert {DEFAULT, OPEN} <= set(names())
    assert "CC BY-NC-SA" in find(DEFAULT).card.terms
    assert "CC BY-NC-SA" not in find(OPEN).card.terms
    assert not any(source.startswith("segpc") for source in find(OPEN).card.data["train"])
