from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from db.records import CellClass
from tests.support.painted import BLUE_CYTOPLASM, CHROMATIN, GLASS, MPP_UM, RED_CELL, field, lymphocyte, red_cell
from worker.cells.stain import (
    DEFAULT_NUCLEUS,
    MIN_NUCLEI_UM2,
    Pixels,
    StainFit,
    background_of,
    fit_stain,
    optical_density,
)
from worker.drawing.smear import SmearSpec, draw_smear

RED_CELLS = [disc for x in range(30, 600, 60) for y in (40, 100, 360) for disc in red_cell(x, y)]


def with_nuclei(number: int) -> Pixels:
    return field(600, 400, [*RED_CELLS, *(disc for i in range(number) for disc in lymphocyte(60 + 90 * i, 220))])


def nuclear(colour: tuple[int, int, int], fit: StainFit) -> float:
    background = np.array([fit.background_r, fit.background_g, fit.background_b])
    _, green, blue = optical_density(np.array(colour, np.uint8), background)
    return float(green - blue)


def test_the_background_is_the_glass() -> None:
    assert np.abs(background_of(with_nuclei(4)) - GLASS).max() <= 2
    assert fit_stain(with_nuclei(4), MPP_UM).background == pytest.approx(GLASS, abs=2)


def test_a_few_brighter_pixels_are_not_the_background() -> None:
    sample = with_nuclei(4)
    sample[:12, :60] = 255
    assert np.abs(background_of(sample) - GLASS).max() <= 2


@pytest.mark.parametrize("number", [0, 1, 5])
def test_the_threshold_parts_nuclei_from_red_cells_however_few_nuclei_there_are(number: int) -> None:
    fit = fit_stain(with_nuclei(number), MPP_UM)
    assert nuclear(RED_CELL, fit) + 0.1 < fit.threshold < nuclear(CHROMATIN, fit) - 0.2
    assert (fit.nuclei_um2 < MIN_NUCLEI_UM2) == (number == 0)
    assert (fit.nucleus == DEFAULT_NUCLEUS) == (number == 0)


def test_pale_stain_alone_is_not_taken_for_chromatin() -> None:
    fit = fit_stain(field(300, 200, [(150, 100, 40, BLUE_CYTOPLASM)]), MPP_UM)
    assert nuclear(BLUE_CYTOPLASM, fit) > 0.35
    assert fit.threshold >= 0.3


def test_red_cells_keep_room_for_their_pale_middles() -> None:
    fit = fit_stain(with_nuclei(3), MPP_UM)
    assert fit.red_cell_top >= fit.red_cell + 0.03
    assert fit.red_cell_rb >= 0.0


def test_a_drawn_smear_fits_alike_at_every_resolution() -> None:
    composition = {CellClass.NEUTROPHIL: 15, CellClass.LYMPHOBLAST: 15}
    rgb = draw_smear(SmearSpec(width_px=1024, height_px=1024, seed=5, composition=composition)).rgb
    fine = fit_stain(rgb, 0.25)
    for factor in (4, 8):
        coarse = fit_stain(
            np.asarray(cv2.resize(rgb, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA), np.uint8),
            0.25 * factor,
        )
        assert coarse.threshold == pytest.approx(fine.threshold, abs=0.08)
        assert coarse.background == pytest.approx(fine.background, abs=3)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_sample_still_gives_a_fit(value: int) -> None:
    fit = fit_stain(np.full((50, 60, 3), value, np.uint8), 1.0)
    assert all(np.isfinite(number) for number in fit.to_json().values())
    assert fit.nuclei_um2 == 0.0


def test_a_fit_survives_json_and_repeats() -> None:
    sample = with_nuclei(3)
    fit = fit_stain(sample, MPP_UM)
    assert StainFit.from_json(json.loads(json.dumps(fit.to_json()))) == fit
    assert fit_stain(sample, MPP_UM) == fit
    with pytest.raises(KeyError, match="threshold"):
        StainFit.from_json({name: value for name, value in fit.to_json().items() if name != "threshold"})


def test_densities_are_natural_logarithms_of_the_attenuation() -> None:
    background = np.array([200.0, 200.0, 200.0])
    got = optical_density(np.array([200, 100, 0], np.uint8), background)
    np.testing.assert_allclose(got, [0.0, np.log(201 / 101), 2.6])
