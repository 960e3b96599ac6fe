from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.models import write_tiny_model
from tests.support.sets import CLASSICAL, discs, write
from worker import pipeline
from worker.cells.classify import Calls, classify
from worker.cells.measures import Measured
from worker.cells.stain_norm import IDENTITY, own_norm
from worker.drawing.smear import SmearSpec, draw_smear
from worker.nets.cards import STAIN_ANCHORS, STAIN_NORMS
from worker.nets.registry import Model, load
from worker.planning import ReadingSpec, plan_slide
from worker.single_cells import crop_of
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.smear.survey import Told
from worker.training.augment import centred
from worker.training.classification.data import MPP_UM
from worker.training.classification.sources.pictures import at, cell_on_black, inner_nuclei, single_cell

Pixels = NDArray[np.uint8]
CROP_PX = 48
NORMALISING = replace(CLASSICAL, stain_norm=STAIN_ANCHORS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose card asks for stain normalisation."""
    folder = tmp_path_factory.mktemp("models")
    loaded = load(write_tiny_model(folder, crop_px=CROP_PX).card.name, folder, "cpu")
    return replace(loaded, card=replace(loaded.card, stain_norm=STAIN_ANCHORS))


@pytest.fixture(scope="module")
def field() -> Pixels:
    composition = {CellClass.PLASMA_CELL: 6, CellClass.LYMPHOCYTE: 6}
    return draw_smear(SmearSpec(width_px=512, height_px=512, seed=9_200_017, composition=composition, touching=0.0)).rgb


def seen_by_the_line(path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> list[Pixels]:
    """Return the crops of a field that the network gets when the field is read like any slide."""
    seen: list[Pixels] = []

    def remember(crops: Pixels, model: Model, measured: Measured) -> Calls:
        seen.extend(crops)
        return classify(crops, model, measured)

    monkeypatch.setattr(pipeline, "classify", remember)
    with closing(LocalReader(open_slide_file(path))) as reader:
        plan = plan_slide(reader, model, ReadingSpec(told=Told(declared_mpp_um=MPP_UM)), sha256="0" * 64)
        list(pipeline.read_slide(reader, plan, model))
    return seen


def test_cells_of_a_field_are_normalised_for_training_as_for_use(
    tmp_path: Path, field: Pixels, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = {crop.tobytes() for crop in seen_by_the_line(write(tmp_path / "field.png", field), model, monkeypatch)}
    shown = NORMALISING.shown(field)
    trained = [at(shown, *nucleus.centre_tile) for nucleus in inner_nuclei(field, NORMALISING)]
    assert len(trained) >= 6
    assert not np.array_equal(shown, field)
    assert all(centred(crop, CROP_PX).tobytes() in used for crop in trained)


def test_a_picture_of_one_cell_is_normalised_for_training_as_for_use(model: Model) -> None:
    one = {CellClass.LYMPHOBLAST: 1}
    picture = draw_smear(
        SmearSpec(width_px=200, height_px=200, seed=9_200_018, composition=one, red_cells_per_mm2=9000)
    ).rgb
    trained = centred(single_cell(picture, NORMALISING), CROP_PX)
    assert np.array_equal(trained, crop_of(picture, MPP_UM, model))
    assert not np.array_equal(trained, centred(single_cell(picture, CLASSICAL), CROP_PX))


def test_a_cell_without_red_cells_about_it_is_left_as_it_is(model: Model) -> None:
    cut = discs(80, (40, 40), glass=0)
    trained = centred(cell_on_black(cut, MPP_UM, NORMALISING), CROP_PX)
    assert np.array_equal(trained, centred(cell_on_black(cut, MPP_UM, CLASSICAL), CROP_PX))
    assert np.array_equal(trained, crop_of(cut, MPP_UM, model))


def test_nothing_is_measured_where_nothing_is_asked_for(field: Pixels) -> None:
    assert CLASSICAL.shown(field) is field
    assert {method: own_norm(field, MPP_UM, method) is IDENTITY for method in STAIN_NORMS} == {
        "none": True,
        STAIN_ANCHORS: False,
    }
