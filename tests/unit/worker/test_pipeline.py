from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import CellClass, Plan
from tests.support.models import weighing, write_tiny_model
from worker import pipeline
from worker.drawing.smear import SmearSpec, draw_smear
from worker.drawing.tiff import write_pyramid
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.nets.registry import Model, load
from worker.pipeline import read_slide
from worker.planning import ReadingSpec, plan_slide
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader, SlideReader
from worker.slides.slide import RgbImage
from worker.slides.smear.survey import Told

SHA256 = "0" * 64
Seen = dict[tuple[float, float], tuple[str, float]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return load("tiny", folder, "cpu")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    composition = {CellClass.NEUTROPHIL: 8, CellClass.LYMPHOBLAST: 8, CellClass.PLASMA_CELL: 4}
    spec = SmearSpec(width_px=760, height_px=640, mpp_um=0.25, seed=11, composition=composition)
    path = tmp_path_factory.mktemp("slides") / "drawn.tif"
    write_pyramid(path, draw_smear(spec).rgb, 0.25)
    return path


@pytest.fixture(scope="module")
def slide(drawn: Path) -> Iterator[SlideReader]:
    reader = LocalReader(open_slide_file(drawn))
    yield reader
    reader.close()


def cells_of(reader: SlideReader, model: Model, spec: ReadingSpec) -> tuple[Plan, Seen]:
    plan = plan_slide(reader, model, spec, sha256=SHA256)
    cells = [cell for batch in read_slide(reader, plan, model) for cell in batch.cells]
    seen = {(c.x_l0, c.y_l0): (c.cell_class, c.features["nucleus_area_um2"]) for c in cells}
    assert len(seen) == len(cells), "a cell was counted twice"
    return plan, seen


@pytest.fixture(scope="module")
def reference(slide: SlideReader, model: Model) -> Seen:
    return cells_of(slide, model, ReadingSpec(core_px=2048))[1]


def test_nearly_every_drawn_cell_is_counted(reference: Seen) -> None:
    assert len(reference) == pytest.approx(20, abs=1)


@given(
    core_px=st.sampled_from([256, 512, 1024]),
    shift=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    tiles_per_batch=st.integers(1, 9),
)
@settings(max_examples=5, deadline=None)
def test_cells_do_not_depend_on_tile_size_grid_or_batches(
    slide: SlideReader, model: Model, reference: Seen, core_px: int, shift: tuple[int, int], tiles_per_batch: int
) -> None:
    origin = (64 * shift[0], 64 * shift[1])
    spec = ReadingSpec(core_px=core_px, origin_px=origin, tiles_per_batch=tiles_per_batch)
    assert cells_of(slide, model, spec)[1] == reference


def test_a_cell_is_called_by_its_own_measurements(slide: SlideReader, model: Model) -> None:
    by_size = weighing(model, 50.0)
    large, small = by_size.card.classes[:2]
    _, seen = cells_of(slide, by_size, ReadingSpec())
    assert {called for called, _ in seen.values()} == {large, small}
    assert all(called == (large if area > 40 else small) for called, area in seen.values())


def test_a_plan_names_everything_that_decides_the_result(slide: SlideReader, model: Model) -> None:
    one = plan_slide(slide, model, ReadingSpec(), sha256=SHA256)
    assert plan_slide(slide, model, ReadingSpec(), sha256=SHA256).digest == one.digest
    assert plan_slide(slide, model, ReadingSpec(core_px=512), sha256=SHA256).digest != one.digest
    assert plan_slide(slide, model, ReadingSpec(), sha256="1" * 64).digest != one.digest


def test_a_take_over_reads_only_what_is_missing(slide: SlideReader, model: Model) -> None:
    plan = plan_slide(slide, model, ReadingSpec(core_px=256, tiles_per_batch=2), sha256=SHA256)
    whole = {batch.no: batch for batch in read_slide(slide, plan, model)}
    assert sorted(whole) == list(range(plan.n_batches))
    rest = {batch.no: batch for batch in read_slide(slide, plan, model, skip={0, 2})}
    assert sorted(rest) == sorted(set(whole) - {0, 2})
    assert all(rest[no] == whole[no] for no in rest)


class Torn:
    """A source whose outermost corner cannot be decoded (a `PixelSource`)."""

    def __init__(self, path: Path) -> None:
        self._source = open_slide_file(path)
        self.info, self.icc = self._source.info, self._source.icc

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Fail where the box holds the corner."""
        if level == 0 and box_lv.x == box_lv.y == 0:
            raise BadSlideError("unreadable_region", "bad data", "Upload the file again.")
        return self._source.read_lv(level, box_lv)

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def test_what_cannot_be_decoded_is_noted_and_the_rest_is_counted(
    drawn: Path, slide: SlideReader, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_slide(slide, model, ReadingSpec(core_px=128), sha256=SHA256)
    whole = {(c.x_l0, c.y_l0) for batch in read_slide(slide, plan, model) for c in batch.cells}
    monkeypatch.setattr(pipeline, "MOST_DEFECTS", 0.2)
    torn = LocalReader(Torn(drawn), threads=2)
    read = list(read_slide(torn, plan, model))
    defects = [(d.x_l0, d.y_l0, d.width_l0, d.height_l0, d.code) for batch in read for d in batch.defects]
    assert sorted(defects) == [(x, y, 128, 128, "unreadable_region") for x in (0, 128) for y in (0, 128)]
    assert {(c.x_l0, c.y_l0) for b in read for c in b.cells} == {(x, y) for x, y in whole if max(x, y) >= 256}
    torn.close()


@pytest.mark.parametrize("before", [0, 1])
def test_a_slide_with_too_many_defects_is_refused(
    drawn: Path, slide: SlideReader, model: Model, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    plan = plan_slide(slide, model, ReadingSpec(core_px=128), sha256=SHA256)
    monkeypatch.setattr(pipeline, "MOST_DEFECTS", (3.5 + before) / plan.document["n_tiles"])
    torn = LocalReader(Torn(drawn))
    with pytest.raises(BadSlideError, match=f"{4 + before} of its 30 tiles") as caught:
        list(read_slide(torn, plan, model, defects=before))
    assert caught.value.code == "too_many_defects"
    torn.close()


def test_the_scale_and_its_source_are_in_the_plan(slide: SlideReader, model: Model) -> None:
    plan = plan_slide(slide, model, ReadingSpec(told=Told(declared_mpp_um=0.5)), sha256=SHA256)
    assert plan.mpp_um == pytest.approx(0.25, rel=1e-3)
    assert plan.mpp_source == "header"
