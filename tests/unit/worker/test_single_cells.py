from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.models import weighing, write_tiny_model
from worker.cells.features import NAMES
from worker.errors import BadSlideError
from worker.nets.registry import Model, load
from worker.single_cells import crop_of, measured, on_glass

GLASS, CELL, NUCLEUS = (235, 230, 225), (200, 170, 215), (110, 50, 140)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models")
    return load(write_tiny_model(folder, crop_px=48).card.name, folder, "cpu")


def picture(x: float, y: float, *, px_um: float = 4.0, side_um: float = 40.0) -> NDArray[np.uint8]:
    """Draw a cell of 12 µm with a nucleus of 8 µm about a place in µm."""
    rgb = np.full((round(side_um * px_um),) * 2 + (3,), GLASS, np.uint8)
    for radius_um, colour in ((6.0, CELL), (4.0, NUCLEUS)):
        cv2.circle(rgb, (round(x * px_um), round(y * px_um)), round(radius_um * px_um), colour, -1, cv2.LINE_AA)
    return rgb


def nucleus_box(crop: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return the middle and the width of what is as dark as the nucleus."""
    rows, columns = np.nonzero(crop[..., 1] < 110)
    return float(columns.mean()), float(rows.mean()), float(columns.max() - columns.min() + 1)


@pytest.mark.parametrize("px_um", [2.5, 4.0, 9.0])
def test_a_cell_is_cropped_by_its_physical_size(model: Model, px_um: float) -> None:
    crop = crop_of(picture(20, 20, px_um=px_um), 1 / px_um, model)
    assert crop.shape == (48, 48, 3)
    assert nucleus_box(crop)[2] == pytest.approx(32, abs=2)


def test_the_nucleus_nearest_the_middle_comes_to_the_middle(model: Model) -> None:
    crop = crop_of(np.minimum(picture(24, 17), picture(5, 34)), 0.25, model)
    assert nucleus_box(crop)[:2] == pytest.approx((24, 24), abs=1.5)


def test_the_cell_in_the_middle_is_measured_for_a_model_that_asks(model: Model) -> None:
    crops = np.stack([crop_of(picture(20, 20), 0.25, model), np.full((48, 48, 3), GLASS, np.uint8)])
    assert measured(crops, model) is None
    found = measured(crops, weighing(model, 1.0))
    assert found is not None
    assert found[0, NAMES.index("nucleus_area_um2")] == pytest.approx(np.pi * 4.0**2, rel=0.1)
    assert np.isnan(found[1]).all()


def test_without_a_nucleus_near_it_the_middle_is_taken(model: Model) -> None:
    far = picture(8, 8)
    assert np.array_equal(crop_of(far, 0.25, model), far[80 - 24 : 80 + 24, 80 - 24 : 80 + 24])


def test_a_picture_smaller_than_the_crop_repeats_its_border(model: Model) -> None:
    crop = crop_of(picture(5, 5, side_um=10), 0.25, model)
    assert crop.shape == (48, 48, 3)


def test_a_field_is_no_cell(model: Model) -> None:
    with pytest.raises(BadSlideError, match="not_one_cell"):
        crop_of(np.full((500, 400, 3), 230, np.uint8), 0.25, model)


def test_a_cell_cut_out_on_black_is_put_on_glass() -> None:
    cut = picture(20, 20)
    cut[(cut == GLASS).all(axis=2)] = 0
    bright, dark = on_glass(cut), on_glass(cut // 2)
    assert (bright[0, 0] == 230).all()
    assert np.abs(bright.astype(int) - dark).max() <= 3  # lit alike, however dark it was
    assert nucleus_box(bright)[2] == pytest.approx(32, abs=2)


@pytest.mark.parametrize("border", [(235, 230, 225), (0, 0, 0)])
def test_any_other_picture_stays_as_it_is(border: tuple[int, int, int]) -> None:
    flat = np.full((40, 40, 3), border, np.uint8)
    assert on_glass(flat) is flat
    assert on_glass(cell := picture(20, 20)) is cell
